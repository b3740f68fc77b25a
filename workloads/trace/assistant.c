#include "workloads/trace/assistant.h"

#include <signal.h>

static void *serve(void *argument)
{
    struct assistant *a = argument;
    pthread_mutex_lock(&a->lock);
    for (;;) {
        while (a->work == NULL && !a->dismissed)
            pthread_cond_wait(&a->changed, &a->lock);
        if (a->work == NULL)
            break;
        pthread_mutex_unlock(&a->lock);
        a->work(a->context);
        pthread_mutex_lock(&a->lock);
        a->work = NULL;
        pthread_cond_signal(&a->changed);
    }
    pthread_mutex_unlock(&a->lock);
    return NULL;
}

/* Signals stay the first thread's, whose calls they are to interrupt. */
static void engage(struct assistant *a)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_mutex_init(&a->lock, NULL);
    pthread_cond_init(&a->changed, NULL);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    a->is_there = pthread_create(&a->thread, NULL, serve, a) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    a->is_refused = !a->is_there;
    if (a->is_there)
        return;
    pthread_cond_destroy(&a->changed);
    pthread_mutex_destroy(&a->lock);
}

void assistant_ask(struct assistant *a, void (*work)(void *), void *context)
{
    if (!a->is_there && !a->is_refused)
        engage(a);
    if (!a->is_there) {
        work(context);
        return;
    }
    pthread_mutex_lock(&a->lock);
    a->work = work;
    a->context = context;
    pthread_cond_signal(&a->changed);
    pthread_mutex_unlock(&a->lock);
}

void assistant_wait(struct assistant *a)
{
    if (!a->is_there)
        return;
    pthread_mutex_lock(&a->lock);
    while (a->work != NULL)
        pthread_cond_wait(&a->changed, &a->lock);
    pthread_mutex_unlock(&a->lock);
}

void assistant_dismiss(struct assistant *a)
{
    if (!a->is_there)
        return;
    assistant_wait(a);
    pthread_mutex_lock(&a->lock);
    a->dismissed = true;
    pthread_cond_signal(&a->changed);
    pthread_mutex_unlock(&a->lock);
    pthread_join(a->thread, NULL);
    pthread_cond_destroy(&a->changed);
    pthread_mutex_destroy(&a->lock);
    *a = (struct assistant){.is_there = false};
}
