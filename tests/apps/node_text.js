// Stays alive, with a worker thread and some compiled code, until its standard input ends; then it
// is known that what it prints was printed before.
const { Worker } = require("worker_threads");
let sum = 0;
for (let i = 0; i < 1e6; i++) sum = (sum * 31 + i) % 1000003;
const worker = new Worker("setInterval(() => {}, 1000); require('worker_threads').parentPort.postMessage(1)", { eval: true });
worker.on("message", () => console.log("ready", sum));
process.stdin.on("end", () => process.exit(0)).resume();
