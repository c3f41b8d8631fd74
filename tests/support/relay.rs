//! A port between the agent and its cloud that can refuse connections, or take everything and give nothing back.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mode {
    Pass,
    Refuse,
    Hang,
}

struct State {
    mode: Mutex<(Mode, Vec<TcpStream>)>,
    changed: Condvar,
    upstream: SocketAddr,
    held: AtomicU64,
}

/// The port. Its threads end with the process.
pub struct Relay {
    address: SocketAddr,
    state: Arc<State>,
}

/// An address of this machine that nobody listens on now.
pub fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

impl Relay {
    /// Begins to pass everything on to this address.
    pub fn start(upstream: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mode = Mutex::new((Mode::Pass, Vec::new()));
        let state = Arc::new(State { mode, changed: Condvar::new(), upstream, held: AtomicU64::new(0) });
        let own = Arc::clone(&state);
        std::thread::spawn(move || accept(Some(listener), address, &own));
        Self { address, state }
    }

    /// Its origin.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Pieces of requests and answers that came while it hung.
    pub fn held(&self) -> u64 {
        self.state.held.load(Ordering::SeqCst)
    }

    /// As a server that was killed: every connection is cut, and no new one comes about.
    pub fn refuse(&self) {
        self.set(Mode::Refuse, true);
        // The listener goes away with the next connection that it takes.
        while TcpStream::connect(self.address).is_ok() {
            std::thread::yield_now();
        }
    }

    /// As a server that hangs: connections come about, and nothing is answered.
    pub fn hang(&self) {
        self.set(Mode::Hang, false);
    }

    /// As a server that was started anew.
    pub fn pass(&self) {
        self.set(Mode::Pass, true);
    }

    fn set(&self, mode: Mode, cuts: bool) {
        let mut state = self.state.mode.lock().unwrap();
        state.0 = mode;
        if cuts {
            for stream in state.1.drain(..) {
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
        self.state.changed.notify_all();
    }
}

fn accept(mut listener: Option<TcpListener>, address: SocketAddr, state: &Arc<State>) {
    loop {
        if state.mode.lock().unwrap().0 == Mode::Refuse {
            listener = None;
            drop(state.changed.wait_while(state.mode.lock().unwrap(), |mode| mode.0 == Mode::Refuse).unwrap());
        }
        let taken = listener.get_or_insert_with(|| TcpListener::bind(address).unwrap()).accept();
        let Ok((client, _)) = taken else { continue };
        if state.mode.lock().unwrap().0 == Mode::Refuse {
            continue;
        }
        let Ok(server) = TcpStream::connect(state.upstream) else { continue };
        let ways = [(&client, &server), (&server, &client)];
        for (from, to) in ways.map(|(from, to)| (from.try_clone().unwrap(), to.try_clone().unwrap())) {
            let state = Arc::clone(state);
            std::thread::spawn(move || pass(from, to, &state));
        }
        state.mode.lock().unwrap().1.extend([client, server]);
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, state: &State) {
    let mut bytes = [0; 16 * 1024];
    while let Some(length) = from.read(&mut bytes).ok().filter(|length| *length > 0) {
        let mode = state.mode.lock().unwrap();
        state.held.fetch_add(u64::from(mode.0 == Mode::Hang), Ordering::SeqCst);
        drop(state.changed.wait_while(mode, |mode| mode.0 == Mode::Hang).unwrap());
        if to.write_all(&bytes[..length]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}
