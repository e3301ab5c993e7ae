// fs, crypto, timers and worker threads in one run.
const fs = require("fs");
const crypto = require("crypto");
const { Worker, isMainThread, parentPort, workerData } = require("worker_threads");
const { setTimeout: sleep, setImmediate: soon } = require("timers/promises");

if (!isMainThread) {
  let sum = 0;
  for (let i = 0; i < 200000; i++) sum = (sum * 31 + i + workerData) % 1000003;
  parentPort.postMessage(sum);
} else {
  (async () => {
    fs.mkdirSync("tree/deep/er", { recursive: true });
    for (let i = 0; i < 200; i++) fs.writeFileSync(`tree/deep/file${i}`, "line ".repeat(i));
    const sizes = fs.readdirSync("tree/deep").sort().map((f) => fs.statSync("tree/deep/" + f).size);
    console.log(sizes.length);
    const read = await Promise.all(
      Array.from({ length: 200 }, (_, i) => fs.promises.readFile(`tree/deep/file${i}`, "utf8")));
    console.log(crypto.createHash("sha256").update(read.join("")).digest("hex"));
    const key = await new Promise((done, fail) =>
      crypto.pbkdf2("secret", "salt", 2000, 32, "sha512", (e, k) => (e ? fail(e) : done(k))));
    console.log(key.toString("hex"), crypto.randomBytes(16).length);
    const order = [];
    await Promise.all([sleep(3).then(() => order.push("b")), soon().then(() => order.push("a"))]);
    console.log(order.join(""));
    const sums = await Promise.all(Array.from({ length: 4 }, (_, n) => new Promise((done, fail) => {
      const worker = new Worker(__filename, { workerData: n });
      worker.on("message", done);
      worker.on("error", fail);
    })));
    console.log(sums.join(" "));
    process.once("SIGUSR2", () => console.log("signal"));
    process.kill(process.pid, "SIGUSR2");
    await sleep(20);
    fs.rmSync("tree", { recursive: true });
    console.log(fs.existsSync("tree"));
  })();
}
