#include "fault.h"

#include <stdlib.h>
#include <unistd.h>

#include "out.h"

void fault(const char *what, const void *where)
{
    struct out o = out_to_fd(STDERR_FILENO);

    out_put(&o, "%s: %s: '%p'\n", fault_subject, what, where);
    out_flush(&o);
    abort();
}
