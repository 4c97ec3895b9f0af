//! Two machines against each other, over two pipes that cut what they carry.

use starttls::negotiate::{Negotiate, Negotiation, Status};
use starttls::wire::{Clear, Out, RecvBuf};

/// Plays two machines against each other; `to_server` and `to_client` are the sizes of reads.
/// What the client sent, and what the server sent, up to the hand-over of both.
///
/// # Panics
/// If they do not both reach it, with every octet read.
pub fn pair<C: Negotiate, S: Negotiate>(
    client: C,
    server: S,
    to_server: &[usize],
    to_client: &[usize],
) -> (Vec<u8>, Vec<u8>) {
    let (mut to_server, mut to_client) = (Pipe::new(to_server), Pipe::new(to_client));
    let (mut client_storage, mut server_storage) =
        (vec![0; client.max_frame()], vec![0; server.max_frame()]);
    let mut client = End { negotiation: Negotiation::new(client), ready: false };
    let mut server = End { negotiation: Negotiation::new(server), ready: false };
    let (mut at_client, mut at_server) =
        (RecvBuf::new(&mut client_storage), RecvBuf::new(&mut server_storage));
    while !(client.ready && server.ready) {
        let moved = [
            client.step(&mut at_client, &mut to_client, &mut to_server),
            server.step(&mut at_server, &mut to_server, &mut to_client),
        ];
        assert!(moved.contains(&true), "both wait");
    }
    assert_eq!((to_server.read, to_client.read), (to_server.all.len(), to_client.all.len()));
    for (negotiated, side) in [
        (client.negotiation.upgrade(at_client).map(|(upgrade, _)| upgrade), "client"),
        (server.negotiation.upgrade(at_server).map(|(upgrade, _)| upgrade), "server"),
    ] {
        assert!(negotiated.expect(side).into_recv().is_empty(), "{side}");
    }
    (to_server.all, to_client.all)
}

struct Pipe<'r> {
    all: Vec<u8>,
    read: usize,
    reads: &'r [usize],
}

impl<'r> Pipe<'r> {
    fn new(reads: &'r [usize]) -> Self {
        Self { all: Vec::new(), read: 0, reads }
    }
}

struct End<M> {
    negotiation: Negotiation<M>,
    ready: bool,
}

impl<M: Negotiate> End<M> {
    /// One call, or one read; `false` if there is nothing to do.
    fn step(
        &mut self,
        recv: &mut RecvBuf<'_, Clear>,
        from: &mut Pipe<'_>,
        to: &mut Pipe<'_>,
    ) -> bool {
        if self.ready {
            return false;
        }
        let mut storage = [0; 4096];
        let mut out = Out::new(&mut storage);
        let status = self.negotiation.process(recv, &mut out).expect("peers of one mind");
        to.all.extend_from_slice(out.octets());
        self.ready = status == Status::Ready;
        if status != Status::NeedInput {
            return true;
        }
        let unread = &from.all[from.read..];
        let size = from.reads.first().copied().unwrap_or(usize::MAX).max(1);
        let n = recv.fill(&unread[..unread.len().min(size)]);
        if n > 0 && from.reads.len() > 1 {
            from.reads = &from.reads[1..];
        }
        from.read += n;
        n > 0
    }
}
