/* Threads that begin and end, and free each other's blocks. */
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>

#include "scene.h"

enum { THREADS = 8, BOX = 64 };

static void *_Atomic boxes[THREADS][BOX];

/* Puts blocks into one box and empties another: most are freed by who did not make them. */
static void *exchange(void *argument)
{
    uintptr_t self = (uintptr_t)argument;
    for (int i = 0; i < ROUNDS; i++) {
        free(__atomic_exchange_n((void **)&boxes[self][i % BOX], grab((size_t)(i % 300)),
                                 __ATOMIC_ACQ_REL));
        free(__atomic_exchange_n((void **)&boxes[(self + 1) % THREADS][i % BOX], NULL,
                                 __ATOMIC_ACQ_REL));
    }
    return NULL;
}

static int threads(void)
{
    pthread_t ids[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++)
        pthread_create(&ids[i], NULL, exchange, (void *)i);
    for (int i = 0; i < THREADS; i++)
        pthread_join(ids[i], NULL);
    for (int i = 0; i < THREADS; i++)
        for (int j = 0; j < BOX; j++)
            free(boxes[i][j]);
    return 0;
}

static void *one_block(void *argument)
{
    return grab((size_t)(uintptr_t)argument);
}

/* 500 threads one after the other; each one's block is freed by the main thread. */
static int short_lived(void)
{
    for (uintptr_t i = 0; i < 500; i++) {
        pthread_t id;
        void *block;
        pthread_create(&id, NULL, one_block, (void *)(i + 100));
        pthread_join(id, &block);
        free(block);
    }
    return 0;
}

static pthread_barrier_t parents_are_gone;

static void *calls_late(void *argument)
{
    pthread_barrier_wait(&parents_are_gone);
    free(grab(100001));
    return argument;
}

static void *starts_another(void *child)
{
    free(grab(100003));
    return pthread_create(child, NULL, calls_late, NULL) == 0 ? child : NULL;
}

/* Threads that were started by others, which are joined before their first call. */
static int joined_parents(void)
{
    pthread_t parent, children[3];
    pthread_barrier_init(&parents_are_gone, NULL, 4);
    for (int i = 0; i < 3; i++)
        if (pthread_create(&parent, NULL, starts_another, &children[i]) != 0 ||
            pthread_join(parent, NULL) != 0)
            return 1;
    pthread_barrier_wait(&parents_are_gone);
    for (int i = 0; i < 3; i++)
        pthread_join(children[i], NULL);
    return 0;
}

static pthread_key_t key;

static void *set_key(void *argument)
{
    pthread_setspecific(key, grab(100001));
    return argument;
}

/* The thread's block is freed by a destructor, when most of the thread is gone. */
static int late_free(void)
{
    pthread_t id;
    pthread_key_create(&key, free);
    pthread_create(&id, NULL, set_key, NULL);
    return pthread_join(id, NULL);
}

enum { CROWD = 64, CROWD_ROUNDS = 500 };

static pthread_barrier_t crowd_barrier;
static pthread_key_t crowd_key;

static void *one_of_a_crowd(void *argument)
{
    pthread_setspecific(crowd_key, grab(100001));
    for (int i = 0; i < CROWD_ROUNDS; i++)
        free(malloc((size_t)i));
    pthread_barrier_wait(&crowd_barrier);
    return argument;
}

/* Threads that all run at one time and all end at one time, each with a destructor that frees. */
static int crowd(void)
{
    pthread_t threads[CROWD];
    pthread_barrier_init(&crowd_barrier, NULL, CROWD);
    pthread_key_create(&crowd_key, free);
    for (int i = 0; i < CROWD; i++)
        if (pthread_create(&threads[i], NULL, one_of_a_crowd, NULL) != 0)
            return 1;
    for (int i = 0; i < CROWD; i++)
        pthread_join(threads[i], NULL);
    return 0;
}

/* For a user who may have no more tasks than this one. */
static int cannot_start_threads(void)
{
    pthread_t thread;
    return pthread_create(&thread, NULL, rounds, NULL) == EAGAIN ? pairs() : 1;
}

static void *grabs_once(void *block)
{
    free(block);
    return grab(10);
}

/* One after the other, more than a trace has numbers for; the first thread calls on. */
static int more_threads_than_numbers(void)
{
    void *block = NULL;
    for (int i = 0; i < 65535 + 100; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, grabs_once, block) != 0 ||
            pthread_join(thread, &block) != 0)
            return 1;
    }
    return pairs();
}

const struct scene thread_scenes[] = {
    {"more_threads_than_numbers", more_threads_than_numbers},
    {"threads", threads},
    {"short_lived", short_lived},
    {"joined_parents", joined_parents},
    {"late_free", late_free},
    {"crowd", crowd},
    {"cannot_start_threads", cannot_start_threads},
    {NULL, NULL},
};
