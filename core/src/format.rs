//! `defmt::Format` for the types that it is not derived for: those that hold machines, buffers or
//! what other crates made. They are formatted by their `Debug`, which leaves out what is secret.

use core::fmt::Debug;

use crate::negotiate::{
    Client, Either, ForeignTls, Negotiation, Plaintext, Server, Then, Untrusted, Upgrade,
};
use crate::protocol::{
    Implicit, Names, Row, Scheme, acap, ftp, http, imap, irc, ldap, managesieve, mysql, nntp, pop3,
    postgresql, smtp, telnet, xmpp,
};
use crate::submission::{Credentials, Submission, mime};
use crate::wire::{Cipher, Clear, Decrypted, Out, Phase, RecvBuf};
use crate::{inside, receiver};

macro_rules! by_debug {
    ($(impl($($generics:tt)*) $type:ty;)*) => {$(
        impl<$($generics)*> defmt::Format for $type {
            fn format(&self, f: defmt::Formatter<'_>) {
                defmt::write!(f, "{}", defmt::Debug2Format(self));
            }
        }
    )*};
}

by_debug! {
    impl() acap::Client;
    impl() acap::Server<'_>;
    impl() acap::InsideClient;
    impl() acap::InsideServer<'_>;
    impl() ftp::Client;
    impl() ftp::Server<'_>;
    impl() ftp::InsideClient;
    impl() ftp::InsideServer<'_>;
    impl() http::Client<'_>;
    impl() http::Server;
    impl() http::InsideClient;
    impl() http::InsideServer;
    impl() imap::Client;
    impl() imap::Server<'_>;
    impl() imap::InsideClient;
    impl() imap::InsideServer<'_>;
    impl() irc::Client;
    impl() irc::Server<'_>;
    impl() irc::InsideServer<'_>;
    impl() ldap::Client;
    impl() ldap::Server;
    impl() ldap::InsideServer;
    impl() managesieve::Client;
    impl() managesieve::Server<'_>;
    impl() managesieve::InsideClient;
    impl() managesieve::InsideServer<'_>;
    impl() mysql::Client;
    impl() mysql::Server<'_>;
    impl() mysql::InsideServer;
    impl() nntp::Client;
    impl() nntp::Server<'_>;
    impl() nntp::InsideClient;
    impl() nntp::InsideServer<'_>;
    impl() pop3::Client;
    impl() pop3::Server<'_>;
    impl() pop3::InsideClient;
    impl() pop3::InsideServer<'_>;
    impl() postgresql::Client;
    impl() postgresql::Server;
    impl() postgresql::InsideServer;
    impl() smtp::Client<'_>;
    impl() smtp::Server<'_>;
    impl() smtp::InsideClient<'_>;
    impl() smtp::InsideServer<'_>;
    impl() telnet::Client;
    impl() telnet::Server;
    impl() telnet::InsideServer;
    impl() xmpp::Client<'_>;
    impl() xmpp::Server<'_>;
    impl() xmpp::InsideClient<'_>;
    impl() xmpp::InsideServer<'_>;

    impl() Row;
    impl() Scheme;
    impl() Names<'_>;
    impl(S: Debug) Implicit<S>;
    impl(S: Debug) inside::Nothing<S>;
    impl(M: Debug, B: Debug) inside::Opening<M, B>;

    impl() Client;
    impl() Server;
    impl() Untrusted<'_>;
    impl() Upgrade<'_>;
    impl() ForeignTls;
    impl(M: Debug) Negotiation<M>;
    impl(M: Debug) Plaintext<'_, M>;
    impl(A: Debug, B: Debug) Either<A, B>;
    impl(N: Debug, I: Debug) Then<N, I>;

    impl() Clear;
    impl() Cipher;
    impl() Decrypted<'_>;
    impl() Out<'_>;
    impl(P: Phase + Debug) RecvBuf<'_, P>;
    impl() crate::pins::PublicKey<'_>;

    impl() receiver::Account<'_>;
    impl() receiver::Receiver<'_>;
    impl() Credentials<'_>;
    impl() Submission<'_>;
    impl() mime::Composer<'_>;
}

#[cfg(feature = "rustls")]
by_debug! {
    impl(N, I, O) crate::session::Session<N, I, O>;
    impl(N: Debug, I: Debug) crate::session::PlaintextChannel<N, I>;
    impl() crate::submission::Spoken<'_>;
    impl(N, I, O) crate::submission::Exchange<'_, N, I, O>;
    impl() crate::tls::ClientTls;
    impl() crate::tls::Pins;
    impl() crate::tls::ServerTls;
    impl() crate::tls::TlsFailure;
}

#[cfg(all(feature = "std", feature = "rustls"))]
by_debug! {
    impl() crate::io::Error;
    impl() crate::io::Broken;
}
