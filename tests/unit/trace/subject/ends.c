/* How a process ends: by a signal, at once, with a status, among threads that still run. */
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "scene.h"

static int killed(void)
{
    pairs();
    kill(getpid(), SIGKILL);
    return 0;
}

static int crashes(void)
{
    pairs();
    volatile int *nowhere = NULL;
    return *nowhere;
}

static int exits_at_once(void)
{
    pairs();
    _exit(3);
}

static int fails(void)
{
    return pairs() + 7;
}

static void *calls_without_end(void *unused)
{
    for (;;)
        rounds(unused);
    return NULL;
}

static void *calls_for_a_while(void *unused)
{
    for (int i = 0; i < 20; i++)
        rounds(unused);
    return NULL;
}

/* Ends while other threads change their segments. */
static int exits_among_threads(void)
{
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, calls_without_end, NULL);
    usleep(50000);
    _exit(0);
}

/* The main thread is gone when the others change theirs. */
static int main_thread_leaves(void)
{
    pthread_t thread;
    pthread_create(&thread, NULL, calls_for_a_while, NULL);
    pthread_exit(NULL);
}

const struct scene end_scenes[] = {
    {"killed", killed},
    {"crashes", crashes},
    {"exits_at_once", exits_at_once},
    {"fails", fails},
    {"exits_among_threads", exits_among_threads},
    {"main_thread_leaves", main_thread_leaves},
    {NULL, NULL},
};
