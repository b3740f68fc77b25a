/* Imports, line by line: what is understood, what is counted, and what is refused. */
#include "tools.h"

static void test_import_mtrace(void **state)
{
    struct import_result result;
    (void)state;
    struct events events = import_events("= Start\n"
                                         "@ ./a:[0x1] + 0x10 0x20\n"
                                         "@ ./a:(f+1)[0x2] < 0x10\n"
                                         "@ ./a:(f+1)[0x2] > 0x50 0x30\n"
                                         "@ ./a:[0x1] + (nil) 0xffff\n"
                                         "@ ./a:[0x1] ! 0x50 0xffff\n"
                                         "- 0x77\n"
                                         "@ ./a:[0x1] + 0x50 0x8\n"
                                         "hello world\n"
                                         "@ ./a:[0x1] - 0x50\n"
                                         "@ ./a:[0x1] + 0x60 0x1",
                                         TRACE_SOURCE_NONE, &result);
    assert_int_equal(events.count, 5);
    assert_int_equal(events.list[1].op, TRACE_REALLOC);
    assert_true(events.list[1].moved);
    assert_int_equal(events.list[1].size, 0x30);
    assert_int_equal(events.list[2].op, TRACE_FREE); /* lost */
    assert_int_equal(events.list[4].ended_size, 8);
    assert_int_equal(events.header.failed_calls, 2);
    assert_int_equal(events.header.unknown_frees, 1);
    assert_int_equal(events.header.lost_frees, 1);
    assert_int_equal(events.header.skipped_lines, 2);
    assert_int_equal(result.first_skipped, 9);
    assert_true(events.header.lacks & TRACE_LACKS_TIMES &&
                events.header.lacks & TRACE_LACKS_THREADS);
    events_release(&events);
}

static void test_import_ltrace(void **state)
{
    struct import_result result;
    (void)state;
    struct events events = import_events("[pid 7] 12:00:00.000001 app->malloc(64) = 0x10\n"
                                         "[pid 7] 12:00:00.000002 app->malloc(65 <unfinished ...>\n"
                                         "[pid 8] 12:00:00.000003 app->free(0x10 <unfinished ...>\n"
                                         "[pid 7] 12:00:00.000004 <... malloc resumed> ) = 0x10\n"
                                         "[pid 8] 12:00:00.000005 <... free resumed> ) = <void>\n"
                                         "[pid 8] 12:00:00.000006 app->calloc(3, 5) = 0x20\n"
                                         "[pid 8] 12:00:00.000007 app->realloc(0x20, 0) = 0\n"
                                         "[pid 8] 12:00:00.000008 app->memalign(64, 7) = 0x40\n"
                                         "[pid 8] 12:00:00.000009 app->strlen(\"x) = y\") = 1\n"
                                         "[pid 8] 12:00:00.000010 libc.so.6->calloc(0, 7) = 0x99\n"
                                         "[pid 8] 12:00:00.000009 app->malloc(nonsense) = 0x99\n"
                                         "[pid 8] 12:00:00.000009 --- SIGCHLD ---\n",
                                         TRACE_SOURCE_NONE, &result);
    assert_int_equal(events.count, 6);
    assert_int_equal(events.list[1].op, TRACE_FREE); /* where it begins: the address comes again */
    assert_int_equal(events.list[1].thread, 1);
    assert_int_equal(events.list[2].size, 65);
    assert_int_equal(events.list[2].time, 3000);
    assert_int_equal(events.list[3].op, TRACE_CALLOC);
    assert_int_equal(events.list[3].size, 15);
    assert_int_equal(events.list[4].op, TRACE_FREE);
    assert_int_equal(events.list[5].alignment_log2, 6);
    assert_int_equal(events.header.lost_frees, 0);
    assert_int_equal(events.header.skipped_lines, 2);
    assert_int_equal(events.header.lacks, 0);
    events_release(&events);
}

static void test_import_heaptrack(void **state)
{
    struct import_result result;
    (void)state;
    struct events events =
        import_events("v 10400 3\nX a b\na 10 1\na 20 2\nc a\n+ 0\n+ 0\n+ 1\nc b\n- 0\n- 1\n"
                      "- 1\n- 7\n+ zz\nq 1\n",
                      TRACE_SOURCE_NONE, &result);
    assert_int_equal(events.count, 5);
    assert_int_equal(events.list[3].ended_object, 1); /* the youngest of the two */
    assert_int_equal(events.list[3].time, 1000000);
    assert_int_equal(events.list[4].ended_size, 0x20);
    assert_int_equal(events.header.unknown_frees, 1);
    assert_int_equal(events.header.skipped_lines, 3);
    assert_true(events.header.lacks & TRACE_LACKS_IDENTITY);
    assert_int_equal(events.header.command_bytes, 4);
    events_release(&events);
}

static void test_import_kmem(void **state)
{
    struct import_result result;
    (void)state;
    struct events events =
        import_events("# tracer: nop\n#\n"
                      "CPU:1 [LOST 12 EVENTS]\n"
                      " a [9] b-7 [001] d..1. 1.5: kmalloc: call_site=f ptr=01 bytes_req=7 "
                      "bytes_alloc=8 "
                      "gfp_flags=GFP_KERNEL|__GFP_ZERO node=-1 accounted=false\n"
                      " b-7 [000] 1.6: kmem_cache_free: call_site=a ptr=01 name=x\n"
                      " b-7 [000] ..... 1.5: kmem_cache_alloc: call_site=f ptr=02 name=x "
                      "bytes_req=9 "
                      "bytes_alloc=16 gfp_flags=GFP_KERNEL node=-1\n"
                      " b-7 [000] ..... 1.7: kfree: call_site=f ptr=(null)\n"
                      " b-7 [000] ..... 1.7: mm_page_alloc: page=1 pfn=1 order=0\n"
                      " b-7 [000] ..... 1.7: kfree: call_site=f ptr=03\n"
                      " b-7 [000] ..... 1.7: kmalloc: call_site=f ptr=03\n"
                      " b-7 [000] ..... 1.7: kmalloc: call_site=f ptr=03 bytes_r",
                      TRACE_SOURCE_NONE, &result);
    assert_int_equal(events.count, 3);
    assert_int_equal(events.list[0].op, TRACE_CALLOC);
    assert_int_equal(events.list[0].size, 7);
    assert_int_equal(events.list[1].thread, 1);
    assert_int_equal(events.list[1].ended_owner, 0);
    assert_int_equal(events.list[1].time, 100000000);
    assert_int_equal(events.list[2].time, 100000000); /* its time is taken to be that of the last */
    assert_int_equal(result.late_times, 1);
    assert_int_equal(result.lost, 12);
    assert_int_equal(events.header.null_frees, 1);
    assert_int_equal(events.header.unknown_frees, 1);
    assert_int_equal(events.header.skipped_lines, 2);
    events_release(&events);
}

/* A perf's text: the PID stands by itself, and in front of an event's name what it is of. */
static void test_import_kmem_by_perf(void **state)
{
    struct import_result result;
    (void)state;
    struct events events =
        import_events("            perf 18934 [001] 33675.351437:                kmem:kmalloc: "
                      "call_site=f+0x1 ptr=0xffff888102cb6620 bytes_req=24 bytes_alloc=32 "
                      "gfp_flags=GFP_KERNEL|__GFP_ZERO node=-1 accounted=false\n"
                      "            perf 18934 [001] 33675.351438:  kmem:kfree: call_site=f "
                      "ptr=0xffff888102cb6620\n",
                      TRACE_SOURCE_NONE, &result);
    assert_int_equal(events.header.source, TRACE_SOURCE_KMEM);
    assert_int_equal(events.header.skipped_lines, 0);
    assert_int_equal(events.count, 2);
    assert_int_equal(events.list[0].op, TRACE_CALLOC);
    assert_int_equal(events.list[0].size, 24);
    assert_int_equal(events.list[1].op, TRACE_FREE);
    assert_int_equal(events.list[1].time, 1000);
    events_release(&events);
    events = import_events(
        "swapper     0 [000] 3.5:  kmem:mm_page_alloc: page=0xffffea0004 pfn=0x10 order=1 "
        "migratetype=0 gfp_flags=GFP_KERNEL\n"
        "swapper     0 [000] 3.6:  kmem:mm_page_free: page=0xffffea0004 pfn=0x10 order=1\n",
        TRACE_SOURCE_KMEM_PAGES, &result);
    assert_int_equal(events.count, 2);
    assert_int_equal(events.list[0].size, 2 * 4096);
    events_release(&events);
}

static void test_import_kmem_pages(void **state)
{
    struct import_result result;
    (void)state;
    struct events events =
        import_events("# heapmark: recorded at 1763892112\n"
                      " b-7 [001] d..1. 1.5: mm_page_alloc: page=01 pfn=0x10 order=3 migratetype=0 "
                      "gfp_flags=0\n"
                      " b-7 [000] ..... 1.6: mm_page_free_batched: page=01 pfn=0x10 order=0\n"
                      " b-7 [000] ..... 1.6: mm_page_free: page=01 pfn=0x10 order=3\n"
                      " b-7 [000] ..... 1.7: mm_page_alloc: page=(nil) pfn=0x0 order=9 "
                      "migratetype=0 gfp_flags=0\n"
                      " b-7 [000] ..... 1.7: mm_page_free: page=01 pfn=0x11 order=0\n"
                      " b-7 [000] ..... 1.7: mm_page_alloc: page=01 pfn=0x12 order=31\n"
                      " b-7 [000] ..... 1.7: mm_page_alloc: page=01 pfn=0xfffffffffffff order=0\n"
                      " b-7 [000] ..... 1.7: mm_page_alloc: page=01 pfn=0x1fffffffffffff order=0\n"
                      " b-7 [000] ..... 1.7: kmalloc: call_site=f ptr=03\n"
                      "# heapmark: ended early\n",
                      TRACE_SOURCE_KMEM_PAGES, &result);
    assert_int_equal(events.count, 3);
    assert_int_equal(events.list[0].op, TRACE_ALIGNED);
    assert_int_equal(events.list[0].size, 8 * 4096);
    assert_int_equal(events.list[0].alignment_log2, 15);
    assert_int_equal(events.list[1].op, TRACE_FREE);
    assert_int_equal(events.list[1].ended_owner, 0);
    assert_int_equal(events.list[1].time, 100000000);
    assert_int_equal(events.list[2].size, 4096);
    assert_int_equal(events.header.failed_calls, 1);
    assert_int_equal(events.header.unknown_frees, 1);
    assert_int_equal(events.header.skipped_lines, 2);
    assert_int_equal(events.header.recorded_at, 1763892112);
    assert_true(events.header.flags & TRACE_TRUNCATED);
    events_release(&events);
}

static void test_import_refuses(void **state)
{
    (void)state;
    import_refused("hello world\n", TRACE_SOURCE_NONE, "line 1 ('hello world') is not how");
    import_refused("\x28\xb5\x2f\xfd..", TRACE_SOURCE_NONE, "unpack it first");
    import_refused("hello world\n+ 0x1 0x2\nmore\n", TRACE_SOURCE_MTRACE,
                   "line 1 is the first of 2 that are not of what glibc's mtrace() writes");
    import_refused("v 10400 9\n+ 1\n", TRACE_SOURCE_HEAPTRACK, "format is not 1 to 3");
    import_refused("= Start\n- 0x1\n= End\n", TRACE_SOURCE_NONE, "tell of no allocation");
    import_refused("heapmark trace text 1\nend 0\n", TRACE_SOURCE_NONE,
                   "its 2 lines tell of no allocation; record a part in which");
    import_refused("# tracer: nop\nx\ny\n", TRACE_SOURCE_NONE, "line 2 is the first of 2");
    char *many = malloc(5000 * 6 + 1);
    for (int i = 0; i < 5000; i++)
        memcpy(many + 6 * i, "hello\n", 7);
    import_refused(many, TRACE_SOURCE_LTRACE, "line 1 is not of what ltrace prints");
    free(many);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_import_mtrace),       cmocka_unit_test(test_import_ltrace),
        cmocka_unit_test(test_import_heaptrack),    cmocka_unit_test(test_import_kmem),
        cmocka_unit_test(test_import_kmem_by_perf), cmocka_unit_test(test_import_kmem_pages),
        cmocka_unit_test(test_import_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
