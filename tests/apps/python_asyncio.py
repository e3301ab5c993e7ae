"""An echo server and forty clients in one asyncio loop, on loopback."""
import asyncio
import signal


async def serve(reader, writer):
    while line := await reader.readline():
        writer.write(line.upper())
        await writer.drain()
    writer.close()


async def client(port, number):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    total = 0
    for i in range(50):
        writer.write(f"client {number} line {i}\n".encode())
        await writer.drain()
        total += len(await reader.readline())
    writer.close()
    return total


async def main():
    loop = asyncio.get_running_loop()
    told = asyncio.Event()
    loop.add_signal_handler(signal.SIGUSR1, told.set)
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    totals = await asyncio.gather(*(client(port, n) for n in range(40)))
    print(sum(totals), max(totals), min(totals))
    signal.raise_signal(signal.SIGUSR1)
    await asyncio.wait_for(told.wait(), 10)
    try:
        await asyncio.wait_for(asyncio.Event().wait(), 0.01)
    except asyncio.TimeoutError:
        print("timed out as it should")
    print(await asyncio.to_thread(sum, range(100000)))
    server.close()


asyncio.run(main())
