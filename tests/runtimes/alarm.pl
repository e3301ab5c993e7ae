# perl: alarms in blocking calls, die out of a handler, safe signals, fork, a fault of its own.
use strict; use warnings; use POSIX (); use Time::HiRes ();
$| = 1;
my $count = 0;
$SIG{ALRM} = sub { $count++; die "alarm\n" };
for (1 .. 5) {
    eval { Time::HiRes::ualarm(20000); sleep 100; };
    print "caught: $@";
}
pipe(my $in, my $out) or die;
eval { Time::HiRes::ualarm(20000); sysread($in, my $byte, 1); };
print "read: $@";
eval { Time::HiRes::ualarm(20000); my $n = 0; while (1) { $n = ($n * 31 + 1) % 1000003 } };
print "loop: $@";
$SIG{CHLD} = sub { 1 while waitpid(-1, POSIX::WNOHANG()) > 0; $count++ };
for my $i (1 .. 5) { my $n = $count; my $pid = fork; POSIX::_exit($i) if $pid == 0; select(undef, undef, undef, 0.01) while $count == $n; }
print "count: $count\n";
$SIG{USR1} = sub { print "usr1\n" };
kill USR1 => $$ for 1 .. 3;
local $SIG{SEGV} = sub { print "segv sent\n" };
kill SEGV => $$;
my $text = join ',', map { $_ * 2 } grep { /7/ } 1 .. 100;
print "$text\n", `echo from a shell; exit 3`, $? >> 8, "\n";
kill TERM => $$;
sleep 100;
