# ruby: traps, Timeout, threads, fork, the stack's end by SIGSEGV.
require 'timeout'
$stdout.sync = true
count = 0
trap('USR1') { count += 1 }
10.times { before = count; Process.kill('USR1', $$); sleep 0.001 while count == before }
puts "traps #{count}"
begin
  Timeout.timeout(0.05) { sleep 100 }
rescue Timeout::Error
  puts 'timeout'
end
begin
  Timeout.timeout(0.05) { loop {} }
rescue Timeout::Error
  puts 'timeout in a loop'
end
def deep(n) = deep(n + 1) + 1
2.times { begin; deep(0); rescue SystemStackError; puts 'stack' end }
threads = 5.times.map { |i| Thread.new { (1..20000).sum { |n| n * i } } }
puts threads.map(&:value).inspect
blocked = Thread.new { sleep }
sleep 0.01
blocked.kill
puts blocked.join(10) ? 'killed' : 'not killed'
3.times { |i| pid = fork { exit! i }; puts Process.wait2(pid)[1].exitstatus }
puts `echo from a shell`, $?.exitstatus
reader, writer = IO.pipe
Thread.new { sleep 0.01; writer.puts 'written' }
puts reader.gets
puts Process.wait2(spawn('kill -SEGV $$'))[1].termsig
trap('TERM', 'DEFAULT')
Process.kill('TERM', $$)
sleep 100
