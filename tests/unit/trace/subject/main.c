/* subject SCENE: runs one scene. Exits with 99 when there is none of that name. */
#include <string.h>

#include "scene.h"

static const struct scene *const tables[] = {
    call_scenes,     thread_scenes,    join_scenes,        signal_scenes, fork_scenes,
    daemon_scenes,   exec_scenes,      environment_scenes, room_scenes,   surroundings_scenes,
    confined_scenes, cancelled_scenes, end_scenes,
};

int main(int argc, char **argv)
{
    for (size_t i = 0; argc == 2 && i < sizeof tables / sizeof *tables; i++)
        for (const struct scene *scene = tables[i]; scene->name != NULL; scene++)
            if (strcmp(argv[1], scene->name) == 0)
                return scene->run();
    return 99;
}
