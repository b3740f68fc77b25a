#include "check.h"

#include "util/nearest.h"
#include "util/parse.h"
#include "util/pool.h"
#include "util/shell.h"

#include <stdbool.h>
#include <sys/wait.h>
#include <unistd.h>

static void nearest_finds_typos(void **state)
{
    static const char *const names[] = {"allocators", "workloads", "jobs", "metrics", "traces"};
    (void)state;
    assert_string_equal(nearest("alocators", names, 5), "allocators");
    assert_string_equal(nearest("wrokloads", names, 5), "workloads");
    assert_string_equal(nearest("metric", names, 5), "metrics");
    assert_string_equal(nearest("job", names, 5), "jobs");
    assert_null(nearest("xyzzy", names, 5));
    assert_null(nearest("", names, 5));
    assert_null(nearest("jobs", names, 0));
}

static void counts_have_decimal_units(void **state)
{
    uint64_t value = 7;
    (void)state;
    assert_int_equal(parse_count("0", &value), 0);
    assert_int_equal(value, 0);
    assert_int_equal(parse_count("12k", &value), 0);
    assert_int_equal(value, 12000);
    assert_int_equal(parse_count("18446744073709551615", &value), 0);
    assert_true(value == UINT64_MAX);
    value = 7;
    static const char *const bad[] = {"",
                                      "-1",
                                      "+1",
                                      " 1",
                                      "1 ",
                                      "1x",
                                      "k",
                                      "1kk",
                                      "1.5k",
                                      "0x1",
                                      "18446744073709551616",
                                      "18446744073709551615k"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_not_equal(parse_count(bad[i], &value), 0);
        assert_int_equal(value, 7);
    }
}

static void bytes_have_binary_units(void **state)
{
    uint64_t value = 0;
    char text[32];
    (void)state;
    assert_int_equal(parse_bytes("64k", &value), 0);
    assert_int_equal(value, 65536);
    assert_int_equal(parse_bytes("2GiB", &value), 0);
    assert_true(value == 2ull << 30);
    assert_int_equal(parse_bytes("100b", &value), 0);
    assert_int_equal(value, 100);
    assert_int_not_equal(parse_bytes("1ib", &value), 0);
    assert_int_not_equal(parse_bytes("1t", &value), 0);
    assert_string_equal(format_bytes(65536, text), "64k");
    assert_string_equal(format_bytes(65537, text), "65537");
    assert_string_equal(format_bytes(0, text), "0");
}

static void durations_know_their_units(void **state)
{
    uint64_t ns = 0;
    char text[32];
    (void)state;
    static const struct {
        const char *text;
        uint64_t ns;
    } good[] = {{"100ms", 100000000}, {"2", 2000000000}, {"1.5s", 1500000000},
                {"3m", 180000000000}, {"250us", 250000}, {"0", 0}};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_int_equal(parse_duration_ns(good[i].text, &ns), 0);
        assert_int_equal(ns, good[i].ns);
    }
    assert_int_not_equal(parse_duration_ns("-1s", &ns), 0);
    assert_int_not_equal(parse_duration_ns("inf", &ns), 0);
    assert_int_not_equal(parse_duration_ns("5 s", &ns), 0);
    assert_int_not_equal(parse_duration_ns("1e300h", &ns), 0);
    assert_string_equal(format_duration(100000000000, text), "1m40s");
    assert_string_equal(format_duration(5000000, text), "5ms");
    assert_string_equal(format_duration(7200000000000, text), "2h00m");
}

static void splitting_trims_and_keeps_empty_pieces(void **state)
{
    (void)state;
    struct strings list = strings_split(" a, b ,,c", ',');
    assert_int_equal(list.count, 4);
    assert_string_equal(list.items[1], "b");
    assert_string_equal(list.items[2], "");
    assert_null(list.items[4]);
    assert_int_equal(strings_split("", ',').count, 0);
    assert_string_equal(strings_join(&list, ";"), "a;b;;c");
}

static void words_are_quoted_for_shell_and_terminal(void **state)
{
    static const char *const cases[][2] = {
        {"--size=64,128", "--size=64,128"},
        {"", "''"},
        {"a b", "'a b'"},
        {"$(rm x)", "'$(rm x)'"},
        {"it's", "'it'\\''s'"},
        {"it's\n", "$'it\\'s\\n'"},
        {"a^b", "'a^b'"},
        {"=ls", "'=ls'"},
        {"_@%+=:,./-", "_@%+=:,./-"},
        {"a\\b", "'a\\b'"},
        {"a\\b\n", "$'a\\\\b\\n'"},
        {"\x1b]0;x\x07", "$'\\033]0;x\\007'"},
        {"\x7f", "$'\\177'"},
        {"\1f", "$'\\001f'"},
        {"na\xc3\xafve \xe2\x82\xac", "'na\xc3\xafve \xe2\x82\xac'"},
        {"\xf0\x9f\x98\x80", "'\xf0\x9f\x98\x80'"},
        {"\xc2\x9b", "$'\\302\\233'"},                   /* a C1 control */
        {"\xe2\x80\xae", "$'\\342\\200\\256'"},          /* writes from right to left */
        {"\xff", "$'\\377'"},                            /* no UTF-8: never, */
        {"\xc0\xaf", "$'\\300\\257'"},                   /* longer than need be, */
        {"\xed\xa0\x80", "$'\\355\\240\\200'"},          /* a surrogate, */
        {"\xf4\x90\x80\x80", "$'\\364\\220\\200\\200'"}, /* beyond the last one, */
        {"\xe2\x82", "$'\\342\\202'"},                   /* cut off */
        {"\xe2\x82z", "$'\\342\\202z'"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_string_equal(shell_quote(cases[i][0]), cases[i][1]);
    assert_string_equal(shell_command("a\0b c\0", 6), "a 'b c'");
    assert_string_equal(shell_command("\0a\0", 3), "'' a");
    assert_string_equal(shell_command("", 0), "");
    assert_string_equal(shell_command("A=b\0A=b\0", 8), "'A=b' A=b");
    assert_string_equal(shell_command("%1\0%1\0", 6), "'%1' %1");
}

/* What `printf %s` of the quoted words prints there, in `said`. False: there is no such shell. */
static bool shell_prints(const char *shell, const char *quoted, char *said, size_t size)
{
    const char *script = pool_printf("printf %%s %s", quoted);
    int ends[2], status;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDOUT_FILENO);
        execlp(shell, shell, "-c", script, (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    assert_int_equal(waitpid(child, &status, 0), child);
    ssize_t length = read(ends[0], said, size - 1); /* all of it: the pipe has held it */
    close(ends[0]);
    if (WEXITSTATUS(status) == 127)
        return false;
    assert_int_equal(status, 0);
    said[length] = '\0';
    return true;
}

static void assert_shell_takes(const char *shell, const char *word)
{
    char said[1024];
    if (shell_prints(shell, shell_quote(word), said, sizeof said))
        assert_string_equal(said, word);
}

/* Each byte from `first` to `last` before digits that an escape could swallow, and as a word. */
static void assert_shell_takes_bytes(const char *shell, int first, int last)
{
    char all[1024], *end = all, singles[256] = "", said[1024];
    struct strings quoted = {0};
    for (int byte = first; byte <= last; byte++) {
        char word[] = {(char)byte, '\0'};
        end += sprintf(end, "%c7f", byte);
        singles[byte - first] = (char)byte;
        strings_add(&quoted, shell_quote(word));
    }
    assert_shell_takes(shell, all);
    if (shell_prints(shell, strings_join(&quoted, " "), said, sizeof said))
        assert_string_equal(said, singles);
}

static void shells_give_each_word_back(void **state)
{
    (void)state;
    static const char *const shells[] = {"dash", "bash"};
    for (size_t i = 0; i < 2; i++) {
        assert_shell_takes_bytes(shells[i], ' ', '~');
        assert_shell_takes(shells[i], "");
        assert_shell_takes(shells[i], "na\xc3\xafve");
    }
    assert_shell_takes_bytes("bash", '\1', 0xff);
}

static void text_for_json_is_utf8(void **state)
{
    (void)state;
    assert_string_equal(utf8_text("a\x07\xc3\xaf"), "a\x07\xc3\xaf");
    assert_string_equal(utf8_text("\xff.\xe2\x82z\xe2\x82"), "\\xff.\\xe2\\x82z\\xe2\\x82");
    assert_string_equal(utf8_text(""), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nearest_finds_typos),
        cmocka_unit_test(counts_have_decimal_units),
        cmocka_unit_test(bytes_have_binary_units),
        cmocka_unit_test(durations_know_their_units),
        cmocka_unit_test(splitting_trims_and_keeps_empty_pieces),
        cmocka_unit_test(words_are_quoted_for_shell_and_terminal),
        cmocka_unit_test(shells_give_each_word_back),
        cmocka_unit_test(text_for_json_is_utf8),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
