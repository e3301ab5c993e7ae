# Files, sorting, a regular expression, sockets, signals and a child process.
use strict;
use warnings;
use Socket;

open(my $out, '>', 'lines') or die $!;
print $out join(' ', map { ($_ * 7919) % 1000 } $_ .. $_ + 9), "\n" for 1 .. 2000;
close $out;
my (%count, $total);
open(my $in, '<', 'lines') or die $!;
while (<$in>) { $count{$1}++ while /\b(\d\d)\b/g; $total += $_ for split; }
print scalar(keys %count), " $total\n";
print join(',', (sort { $count{$b} <=> $count{$a} || $a <=> $b } keys %count)[0 .. 4]), "\n";

socketpair(my $one, my $two, AF_UNIX, SOCK_STREAM, PF_UNSPEC) or die $!;
my $pid = fork // die $!;
if (!$pid) {
    close $one;
    while (my $line = <$two>) { last if $line eq "end\n"; syswrite $two, uc $line; }
    exit 7;
}
close $two;
for my $i (1 .. 200) {
    syswrite $one, "hello $i\n";
    my $answer = <$one>;
    die $answer if $answer ne "HELLO $i\n";
}
syswrite $one, "end\n";
waitpid $pid, 0;
print "child ", $? >> 8, "\n";

my $alarms = 0;
$SIG{ALRM} = sub { $alarms++ };
alarm 1;
select undef, undef, undef, undef while !$alarms;
print "alarms $alarms\n";
$SIG{USR1} = sub { print "signal $_[0]\n" };
kill 'USR1', $$;
print "done\n";
