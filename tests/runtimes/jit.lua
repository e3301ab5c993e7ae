-- LuaJIT: traces, FFI calls and callbacks into libc, errors through C frames.
local ffi = require('ffi')
ffi.cdef [[
int getppid(void); int getpid(void); long syscall(long number, ...);
void qsort(void *base, size_t count, size_t size, int (*compare)(const int *, const int *));
typedef struct { long tv_sec, tv_nsec; } timespec_t; int nanosleep(const timespec_t *a, timespec_t *b);
]]
assert(jit.status(), 'the compiler is on')
local sum = 0
for i = 1, 20000000 do sum = (sum + i * 3) % 1000003 end
print('sum', sum)
local same = 0
for _ = 1, 200000 do if ffi.C.getppid() == ffi.C.syscall(110) then same = same + 1 end end
print('calls', same)
local array = ffi.new('int[1000]')
for i = 0, 999 do array[i] = (i * 7919) % 1009 end
local compare = ffi.cast('int (*)(const int *, const int *)', function(a, b) return a[0] - b[0] end)
ffi.C.qsort(array, 1000, 4, compare)
local ordered = true
for i = 1, 999 do ordered = ordered and array[i - 1] <= array[i] end
print('callbacks', ordered)
local caught = 0
for i = 1, 20000 do
    local ok = pcall(function() if i % 2 == 0 then error('x') else return nil + i end end)
    if not ok then caught = caught + 1 end
end
print('errors', caught)
local function deep(n) return deep(n + 1) + 1 end
print('overflow', (pcall(deep, 1)))
local workers = {}
for w = 1, 3 do workers[w] = coroutine.wrap(function() for i = 1, 10000 do coroutine.yield(i * w) end end) end
local total = 0
for _ = 1, 10000 do for w = 1, 3 do total = total + workers[w]() end end
print('coroutines', total)
local pipe = io.popen('cat /proc/self/comm; exit 3')
print('popen', pipe:read('*l'), pipe:close())
print('execute', os.execute('exit 4'))
ffi.C.nanosleep(ffi.new('timespec_t', 0, 1000000), nil)
local strings = {}
for i = 1, 200000 do strings[i % 100] = ('x'):rep(i % 50) .. i end
collectgarbage()
print('end', #strings)
os.exit(6)
