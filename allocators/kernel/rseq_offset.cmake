# KMEM_RSEQ_OFFSET: where the C library of the build keeps a thread's rseq area, in bytes from the thread pointer.
# malloc and free have it as a constant, and look it up instead where they run with another library's (see
# slub_fast_paths()). Not known when compiling for another machine: 0, which is nobody's.
if(NOT DEFINED KMEM_RSEQ_OFFSET)
    set(kmem_offset 0)
    if(NOT CMAKE_CROSSCOMPILING)
        file(WRITE ${CMAKE_CURRENT_BINARY_DIR}/rseq_offset.c
            "#include <stdio.h>\n#include <sys/rseq.h>\n"
            "int main(void) { return printf(\"[rseq=%td]\", __rseq_offset) < 1; }\n")
        try_run(KMEM_RSEQ_RUN KMEM_RSEQ_COMPILED ${CMAKE_CURRENT_BINARY_DIR}
            ${CMAKE_CURRENT_BINARY_DIR}/rseq_offset.c RUN_OUTPUT_VARIABLE kmem_said)
        # What sanitizers or preloaded libraries say may stand beside it.
        if(KMEM_RSEQ_COMPILED AND kmem_said MATCHES "\\[rseq=(-?[0-9]+)\\]")
            set(kmem_offset ${CMAKE_MATCH_1})
        endif()
        unset(KMEM_RSEQ_RUN CACHE)
        unset(KMEM_RSEQ_COMPILED CACHE)
    endif()
    set(KMEM_RSEQ_OFFSET ${kmem_offset} CACHE STRING "bytes from the thread pointer to its rseq area")
endif()
