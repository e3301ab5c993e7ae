// What V8 does by signals and by code of its own: JIT, WebAssembly with its trap handler, workers,
// children, signals.
'use strict';
const { Worker, isMainThread, parentPort, workerData } = require('worker_threads');
const { spawnSync, spawn, fork, execFileSync } = require('child_process');

function hot(n) {
    let sum = 0;
    for (let i = 0; i < n; i++) sum = (sum + i * i) % 1000003;
    return sum;
}

function shapes() { // code that is made, thrown away and made again
    let sum = 0;
    for (let round = 0; round < 20; round++) {
        const f = new Function('o', `return o.a${round} + o.b * ${round}`);
        for (let i = 0; i < 3000; i++) sum += f(round % 2 ? { ['a' + round]: i, b: 1 } : { b: 1, ['a' + round]: i });
    }
    return sum;
}

// A module of four functions: a load, a division, a loop, an endless recursion.
function module() {
    const section = (id, ...content) => [id, content.length, ...content];
    const body = (...code) => [code.length, ...code];
    const name = (text, index) => [text.length, ...Buffer.from(text), 0, index];
    return new WebAssembly.Module(new Uint8Array([
        0, 97, 115, 109, 1, 0, 0, 0,
        ...section(1, 2, 96, 1, 127, 1, 127, 96, 2, 127, 127, 1, 127), // i32 -> i32, i32 i32 -> i32
        ...section(3, 4, 0, 1, 0, 0),
        ...section(5, 1, 1, 1, 2), // one page of memory, two at most
        ...section(7, 4, ...name('load', 0), ...name('div', 1), ...name('loop', 2), ...name('deep', 3)),
        ...section(10, 4,
            ...body(0, 32, 0, 40, 2, 0, 11), // i32.load
            ...body(0, 32, 0, 32, 1, 109, 11), // i32.div_s
            ...body(1, 1, 127, 3, 64, 32, 1, 32, 0, 106, 33, 1, 32, 0, 65, 1, 107, 34, 0, 65, 0, 74, 13,
                0, 11, 32, 1, 11), // the sum of n, n - 1, … 1
            ...body(0, 32, 0, 16, 3, 11)), // call 3
    ]));
}

function wasm() {
    const { load, div, loop, deep } = new WebAssembly.Instance(module()).exports;
    const caught = {};
    const attempt = (f) => {
        try { return f(); } catch (e) {
            const text = e.constructor.name + ' ' + e.message;
            caught[text] = (caught[text] || 0) + 1;
            return 0;
        }
    };
    let sum = 0;
    for (let i = 0; i < 20000; i++) sum += loop(10) + load(i & 65528) + div(i, 3);
    for (let i = 0; i < 200; i++) {
        attempt(() => load(65536 + i * 4096)), attempt(() => load(-4)), attempt(() => div(1, 0));
        attempt(() => div(-2147483648, -1));
    }
    for (let i = 0; i < 3; i++) attempt(() => deep(i));
    return [sum, caught];
}

function overflow() {
    let caught = 0;
    const f = (n) => f(n + 1) + 1;
    for (let i = 0; i < 5; i++) try { f(0); } catch (e) { caught += e instanceof RangeError; }
    return caught;
}

async function main() {
    if (process.argv[2] === 'child') {
        process.on('message', (m) => { process.send(m * 2); process.disconnect(); });
        return;
    }
    console.log('hot:', hot(3000000), shapes(), overflow());
    console.log('wasm:', JSON.stringify(wasm()));
    const answers = await Promise.all([1, 2, 3, 4].map((n) => new Promise((resolve, reject) => {
        const worker = new Worker(__filename, { workerData: n });
        worker.on('message', resolve), worker.on('error', reject);
    })));
    console.log('workers:', JSON.stringify(answers));
    const stopped = new Worker('for (;;) {}', { eval: true });
    console.log('terminated:', await new Promise((resolve) => stopped.on('online', () => stopped.terminate().then(resolve))));
    console.log('execFile:', execFileSync('cat', { input: 'through cat' }).toString());
    console.log('spawnSync:', spawnSync('sh', ['-c', 'exit 7']).status, spawnSync('sh', ['-c', 'kill -KILL $$']).signal);
    const sleeper = spawn('sleep', ['1000']);
    sleeper.kill('SIGTERM');
    console.log('spawn:', JSON.stringify(await new Promise((resolve) => sleeper.on('exit', (...how) => resolve(how)))));
    const child = fork(__filename, ['child']);
    child.send(21);
    console.log('fork:', await new Promise((resolve) => child.on('message', resolve)));
    let signals = 0;
    const alive = setInterval(() => {}, 1000); // handlers alone do not keep the loop going
    for (let i = 0; i < 10; i++) {
        await new Promise((resolve) => {
            process.once('SIGUSR2', () => { signals++; resolve(); });
            process.kill(process.pid, 'SIGUSR2');
        });
    }
    console.log('signals:', signals);
    clearInterval(alive);
    if (process.argv[2] === 'abort') process.abort();
    process.on('exit', (code) => console.log('exit', code));
    if (process.argv[2] === 'term') {
        process.kill(process.pid, 'SIGTERM');
        setTimeout(() => {}, 100000);
    } else process.exitCode = 5;
}

if (isMainThread) main();
else parentPort.postMessage([workerData, hot(500000 * workerData), JSON.stringify(wasm()[1]).length]);
