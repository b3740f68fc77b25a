# perl script.pl OBJECTS KEPT LINES: hashes that replace one another, then strings and their words.
my ($objects, $kept, $count) = @ARGV;
my %live;
for my $i (1 .. $objects) {
    $live{$i % $kept} = {name => "n$i", value => [$i, 2 * $i]};
}
my @lines = map { sprintf("line %05d: %s", $_, "x" x ($_ % 60)) } 1 .. $count;
my %words;
$words{$_} .= "," for map { split /[ :]+/ } @lines;
print length(join "", sort map { scalar reverse $_ } @lines), " ", scalar(keys %words), "\n";
