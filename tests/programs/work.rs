//! Threads, files, a loopback server and other programs, for a static program of Rust.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::{env, fs, thread};

fn main() {
    let threads: Vec<_> = (0..16_u64)
        .map(|number| {
            thread::spawn(move || (0..100_000).fold(number, |sum, i| sum ^ (sum << 1) ^ i))
        })
        .collect();
    let sum = threads.into_iter().fold(0_u64, |sum, one| sum.wrapping_add(one.join().unwrap()));
    println!("sum of threads {sum}");

    fs::create_dir_all("made/by/rust").unwrap();
    for i in 0..50 {
        fs::write(format!("made/by/rust/{i}"), "x".repeat(i)).unwrap();
    }
    let lengths =
        fs::read_dir("made/by/rust").unwrap().map(|e| e.unwrap().metadata().unwrap().len());
    println!("bytes in files {}", lengths.sum::<u64>());
    println!("missing: {}", fs::read("made/missing").unwrap_err());

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = thread::spawn(move || {
        for stream in listener.incoming().take(100) {
            let mut stream = stream.unwrap();
            let mut text = [0; 5];
            stream.read_exact(&mut text).unwrap();
            text.reverse();
            stream.write_all(&text).unwrap();
        }
    });
    for _ in 0..100 {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(b"hello").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "olleh");
    }
    server.join().unwrap();
    println!("100 answers");

    let output = Command::new("sh").args(["-c", "echo $VAR; exit 3"]).env("VAR", "set").output();
    println!("{:?}", output.unwrap());
    println!("{}", Command::new("/does/not/exist").output().unwrap_err());
    println!("arguments {:?}", env::args().skip(1).collect::<Vec<_>>());
    std::panic::set_hook(Box::new(|_| {}));
    let caught = std::panic::catch_unwind(|| panic!("on purpose")).is_err();
    println!("unwound {caught}");
    std::process::exit(9);
}
