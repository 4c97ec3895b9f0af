//! The negotiation of SMTP and nothing else, over a bare UART: what it takes of a flash, with no
//! allocator, no TLS, and no way to panic. Nothing here is shared with the other firmwares.
#![no_std]
#![no_main]
#![expect(unsafe_code, reason = "a UART's registers, and the table of interrupts")]

use starttls::negotiate::{Negotiation, Status};
use starttls::protocol::smtp;
use starttls::wire::{MAX_LINE, Out, RecvBuf};

const STATUS: *const u32 = 0x4001_1000 as _;
const DATA: *mut u32 = 0x4001_1004 as _;

#[cortex_m_rt::entry]
fn main() -> ! {
    // The transport goes to TLS, or is closed.
    let _ = negotiate();
    loop {
        cortex_m::asm::wfi();
    }
}

fn negotiate() -> Result<(), starttls::Error> {
    let (mut receive, mut send) = ([0; MAX_LINE], [0; 64]);
    let mut recv = RecvBuf::new(&mut receive);
    let mut negotiation = Negotiation::new(smtp::Client::new("device.example.org")?);
    loop {
        let mut out = Out::new(&mut send);
        let status = negotiation.process(&mut recv, &mut out);
        for octet in out.octets() {
            put(*octet);
        }
        match status? {
            Status::Progress => {}
            Status::NeedInput => {
                if let Some(place) = recv.spare_mut().first_mut() {
                    *place = get();
                }
                recv.received(1)?;
            }
            Status::Ready => return negotiation.upgrade(recv).map(drop),
        }
    }
}

fn get() -> u8 {
    // SAFETY: registers of USART1 (RM0090 §30.6), as in `put`.
    unsafe {
        while STATUS.read_volatile() & 1 << 5 == 0 {}
        DATA.read_volatile() as u8
    }
}

fn put(octet: u8) {
    // SAFETY: as `get`.
    unsafe {
        while STATUS.read_volatile() & 1 << 7 == 0 {}
        DATA.write_volatile(octet.into());
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// No interrupt is used.
#[unsafe(link_section = ".vector_table.interrupts")]
#[unsafe(no_mangle)]
static __INTERRUPTS: [usize; 1] = [0];
