# How the project's own allocators are built: a static library of prefixed functions, and a shared
# object to preload, which is compiled as a whole: one concept a file, and no call between files on
# the way of an allocation.
include(GNUInstallDirs)
include(CheckIPOSupported)
find_package(Threads REQUIRED)
check_ipo_supported(RESULT ipo OUTPUT ipo_output)

# allocator_library(SHARED STATIC SOURCES file... PRELOAD file [COMPILE flag...]):
# SOURCES are of both, PRELOAD exports malloc's own names; what allocators share is added.
function(allocator_library shared static)
    cmake_parse_arguments(PARSE_ARGV 2 of "" "PRELOAD" "SOURCES;COMPILE")
    set(common ${CMAKE_CURRENT_FUNCTION_LIST_DIR})
    foreach(part fault knob_text lock out)
        list(APPEND of_SOURCES ${common}/${part}.c)
    endforeach()
    add_library(${static} STATIC ${of_SOURCES})
    add_library(${shared} SHARED ${of_SOURCES} ${of_PRELOAD})
    set_target_properties(${shared} PROPERTIES INTERPROCEDURAL_OPTIMIZATION ${ipo})
    # nodelete: threads end, and their keys' destructors run, also after a dlclose.
    # initfirst: a library's handler of forks may allocate, so ours, which hold every lock, must be the
    # innermost: registered by a constructor that runs before all others. (The loader does this for one
    # library of a process: malloc_names.h has what two of ours do.)
    target_link_options(${shared} PRIVATE
        -Wl,-z,now -Wl,-z,relro -Wl,-z,nodelete -Wl,-z,initfirst)
    foreach(target ${static} ${shared})
        set_target_properties(${target} PROPERTIES
            C_STANDARD 17 C_STANDARD_REQUIRED ON C_EXTENSIONS ON POSITION_INDEPENDENT_CODE ON)
        target_compile_definitions(${target} PRIVATE _GNU_SOURCE)
        # An object's bytes are a user's data at one time and links at another: no type-based aliasing.
        target_compile_options(${target} PRIVATE
            -O2 -Wall -Wextra -fvisibility=hidden -ftls-model=initial-exec -fno-strict-aliasing
            -fno-builtin-malloc -fno-builtin-free -fno-builtin-calloc -fno-builtin-realloc ${of_COMPILE})
        target_include_directories(${target} PUBLIC ${CMAKE_CURRENT_SOURCE_DIR} ${common})
        target_link_libraries(${target} PUBLIC Threads::Threads)
    endforeach()
    install(TARGETS ${shared} DESTINATION ${CMAKE_INSTALL_LIBDIR}/heapmark)
endfunction()
