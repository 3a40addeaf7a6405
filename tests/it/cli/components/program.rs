//! A program for tests of components: it does what its first argument says.

use std::collections::hash_map::RandomState;
use std::fs;
use std::hash::{BuildHasher, Hasher};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant, SystemTime};

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let argument = |index: usize| args.get(index).map(String::as_str).unwrap_or_default();
    match argument(1) {
        "args" => print!("{args:?}"),
        "stdin" => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).unwrap();
            print!("{} bytes, {} lines", text.len(), text.lines().count());
        }
        "sleep" => {
            let (start, wall) = (Instant::now(), SystemTime::now());
            std::thread::sleep(Duration::from_secs(3600));
            let seconds = (start.elapsed().as_secs(), wall.elapsed().unwrap().as_secs());
            print!("{seconds:?} since {}", wall.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs());
        }
        "random" => print!("{}", RandomState::new().build_hasher().finish()),
        "exit" => {
            print!("out");
            eprint!("err");
            std::process::exit(3);
        }
        "panic" => panic!("oh no"),
        "memory" => print!("{}", std::hint::black_box(vec![1u8; 1 << 30]).len()),
        "loop" => loop {
            std::hint::black_box(0);
        },
        "write" => {
            let mut file = fs::File::create(argument(2)).unwrap_or_else(|error| panic!("{error}"));
            for _ in 0..100 {
                file.write_all(&[b'x'; 10_000]).unwrap();
            }
            drop(file);
            let mut names: Vec<_> =
                fs::read_dir(".").unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
            names.sort();
            print!("{} {names:?}", fs::read(argument(2)).unwrap().len());
        }
        "read" => match fs::read(argument(2)) {
            Ok(bytes) => print!("{}", bytes.len()),
            Err(error) => panic!("{error}"),
        },
        "connect" => print!("{:?}", TcpStream::connect("127.0.0.1:80").unwrap_err().kind()),
        "variable" => print!("{:?}", std::env::var(argument(2))),
        other => panic!("{other:?}?"),
    }
}
