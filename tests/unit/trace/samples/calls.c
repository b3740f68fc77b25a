/* Two threads and every function of the allocator, for mtrace. */
#define _GNU_SOURCE
#include <mcheck.h>
#include <pthread.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static void *work(void *from)
{
    free(from);
    void *mine[8];
    for (int i = 0; i < 8; i++)
        mine[i] = malloc(100 + i);
    for (int i = 0; i < 8; i++)
        free(mine[i]);
    return malloc(77);
}
int main(void)
{
    mtrace();
    void *kept = malloc(1000);
    char *p = calloc(10, 12);
    p = realloc(p, 500);
    p = realloc(p, 5000);
    void *q = NULL;
    if (posix_memalign(&q, 64, 300))
        return 1;
    void *r = memalign(32, 40);
    void *s = aligned_alloc(128, 256);
    pthread_t t;
    void *back;
    pthread_create(&t, NULL, work, malloc(33));
    pthread_join(t, &back);
    free(back);
    free(p);
    free(q);
    free(r);
    free(s);
    free(NULL);
    void *huge = malloc((size_t)-1 / 4);
    free(huge);
    char *d = strdup("hello world");
    free(d);
    void *u = realloc(NULL, 9);
    u = realloc(u, 0);
    (void)kept;
    muntrace();
    return 0;
}
