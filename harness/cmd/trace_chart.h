/* Curves and bars out of characters: Unicode's where the locale has them, else plain ones. */
#ifndef HEAPMARK_CMD_TRACE_CHART_H
#define HEAPMARK_CMD_TRACE_CHART_H

#include "workloads/trace/curve.h"

/* Columns of the terminal, or of COLUMNS; 80 when nobody knows. At most 200. */
unsigned chart_width(void);

/* A bar of `share` (0 to 1) of `width` columns; nothing follows it. */
void chart_bar(double share, unsigned width);

/* "12.3 MiB", "512 B"; "1.5 ms". `text` needs 32 bytes; returned. */
const char *chart_bytes(double bytes, char *text);
const char *chart_time(double ns, char *text);

/* Live bytes over the time of a trace, some eight lines. `lasts` names its end: "3.2 s". */
void chart_curve(const struct trace_curve *curve, const char *lasts);

#endif
