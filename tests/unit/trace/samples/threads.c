/* Two threads that allocate at once, for ltrace. */
#include <pthread.h>
#include <stdlib.h>
static void *work(void *unused)
{
    (void)unused;
    void *p = NULL;
    for (int i = 0; i < 20; i++) {
        p = realloc(p, 100 + 50 * i);
        free(malloc(10 + i));
    }
    return p;
}
int main(void)
{
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        pthread_create(&threads[i], NULL, work, NULL);
    for (int i = 0; i < 2; i++) {
        void *p;
        pthread_join(threads[i], &p);
        free(p);
    }
    return 0;
}
