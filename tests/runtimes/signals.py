# For CPython and PyPy: handlers, alarms in blocking calls, threads, children, ctypes, deep recursion.
import ctypes, os, signal, subprocess, sys, threading, time

seen = []
signal.signal(signal.SIGALRM, lambda n, f: seen.append(n))
signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
start = time.monotonic()
while len(seen) < 20:
    time.sleep(0.05)
print('alarms', len(seen) >= 20)
total = 0
while len(seen) < 40:
    for i in range(20000):
        total = (total + i * i) % 1000003
signal.setitimer(signal.ITIMER_REAL, 0)
print('alarms in a loop', len(seen) >= 40)

def hot(n):
    total = 0
    for i in range(n):
        total = (total * 31 + i) % 1000003
    return total

print('hot', hot(1000000))
results = []
threads = [threading.Thread(target=lambda n=n: results.append((n, hot(30000 * n)))) for n in range(5)]
for t in threads:
    t.start()
for t in threads:
    t.join()
print('threads', sorted(results))

class Stop(Exception):
    pass

def stop(number, frame):
    raise Stop

signal.signal(signal.SIGUSR1, stop)
caught = 0
for i in range(20):
    try:
        os.kill(os.getpid(), signal.SIGUSR1)
        for _ in range(1000):
            time.sleep(0.01)
    except Stop:
        caught += 1
print('raised', caught)
reader, writer = os.pipe()
signal.setitimer(signal.ITIMER_REAL, 0.02)
signal.signal(signal.SIGALRM, stop)
try:
    os.read(reader, 1)
except Stop:
    print('read interrupted')

def deep(n):
    return deep(n + 1) + 1

try:
    deep(0)
except RecursionError:
    print('recursion')
libc = ctypes.CDLL(None)
print('ctypes', all(libc.getppid() == os.getppid() for _ in range(2000)))
compare = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int))
array = (ctypes.c_int * 200)(*[(i * 7919) % 211 for i in range(200)])
libc.qsort(array, 200, 4, compare(lambda a, b: a[0] - b[0]))
print('callback', list(array) == sorted(array))
print(subprocess.run(['cat'], input=b'through cat', stdout=subprocess.PIPE).stdout)
print(subprocess.run(['sh', '-c', 'kill -SEGV $$']).returncode)
child = os.fork()
if child == 0:
    os._exit(hot(1000) % 100)
print(os.waitpid(child, 0)[1] >> 8)
sys.stdout.flush()
signal.signal(signal.SIGTERM, signal.SIG_DFL)
os.kill(os.getpid(), signal.SIGTERM)
time.sleep(100)
