# python3's faulthandler: tracebacks at faults, on request, after a time. `handler.py KIND`.
import faulthandler, os, signal, sys, threading, time

def inner(kind):
    if kind == 'segv':
        faulthandler._sigsegv()
    elif kind == 'fpe':
        faulthandler._sigfpe()
    elif kind == 'abrt':
        faulthandler._sigabrt()
    elif kind == 'overflow':
        faulthandler._stack_overflow()
    elif kind == 'thread':
        faulthandler._fatal_error_c_thread()
    elif kind == 'read':
        import ctypes
        ctypes.string_at(0)
    elif kind == 'kill':
        os.kill(os.getpid(), signal.SIGSEGV)
        time.sleep(100)
    elif kind == 'user':
        faulthandler.register(signal.SIGUSR1, all_threads=True)
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGUSR1)
    elif kind == 'later':
        faulthandler.dump_traceback_later(0.1, exit=True)
        time.sleep(100)

faulthandler.enable()
ready = threading.Event()
waiter = threading.Thread(target=lambda: (ready.set(), time.sleep(0.5)))
waiter.start()
ready.wait()
inner(sys.argv[1])
print('end')
