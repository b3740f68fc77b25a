# perl threads.pl JOBS LINES OBJECTS: two workers at once, each with half of the jobs, which the main
# thread hands out and whose answers it collects; a job is lines and their words, then hashes that
# replace one another.
use threads;
use Thread::Queue;

my ($jobs, $lines, $objects) = @ARGV;

sub words_of {
    my ($job) = @_;
    my %words;
    $words{$_} .= "," for map { split /[ :]+/ } @$job;
    return join " ", sort map { scalar reverse $_ } keys %words;
}

sub replaced {
    my %live;
    $live{$_ % 500} = {name => "n$_", value => [$_, 2 * $_]} for 1 .. $objects;
    return scalar keys %live;
}

sub work {
    my ($todo, $done) = @_;
    while (defined(my $job = $todo->dequeue)) {
        $done->enqueue([words_of($job), replaced()]);
    }
}

my ($done, @todo) = map { Thread::Queue->new } 0 .. 2;
my @workers = map { threads->create(\&work, $_, $done) } @todo;
for my $job (1 .. $jobs) {
    my @text = map { sprintf "job %d line %05d: %s", $job, $_, "x" x ($_ % 60) } 1 .. $lines;
    $todo[$job % 2]->enqueue(\@text);
}
$_->end for @todo;
my $length = 0;
$length += length $done->dequeue->[0] for 1 .. $jobs;
$_->join for @workers;
print "$length\n";
