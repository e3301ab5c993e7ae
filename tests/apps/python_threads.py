"""Threads that share a queue and a lock, and a pool that computes."""
import concurrent.futures
import queue
import threading

tasks, results, lock = queue.Queue(), {}, threading.Lock()


def worker():
    while (n := tasks.get()) is not None:
        with lock:
            results[n] = sum(i * i for i in range(n))


threads = [threading.Thread(target=worker) for _ in range(16)]
for thread in threads:
    thread.start()
for n in range(400):
    tasks.put(n)
for _ in threads:
    tasks.put(None)
for thread in threads:
    thread.join()
print(len(results), sum(results.values()))

with concurrent.futures.ThreadPoolExecutor(8) as pool:
    print(sum(pool.map(lambda n: n * n, range(1000))))
for _ in range(300):
    one = threading.Thread(target=lambda: None)
    one.start()
    one.join()
print("threads done")
