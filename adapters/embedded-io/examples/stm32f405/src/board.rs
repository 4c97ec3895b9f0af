//! The start of the board, and its end.

#![expect(unsafe_code, reason = "the table of interrupts is a symbol")]

use cortex_m::Peripherals;

use crate::registers::Register;
use crate::uart::Uart;
use crate::{heap, time};

/// The core's clock.
const CORE: u32 = 168_000_000;
/// That of the bus of USART1.
pub(crate) const BUS: u32 = CORE / 2;

/// RCC_CR: HSIRDY.
const HSI_READY: u32 = 1 << 1;

/// The pin of port A with a light on it.
const LIGHT: u32 = 5;

const RCC_CONTROL: Register = Register::at(0x4002_3800);
const RCC_PLL: Register = Register::at(0x4002_3804);
const RCC_CONFIG: Register = Register::at(0x4002_3808);
const RCC_AHB1: Register = Register::at(0x4002_3830);
const RCC_AHB2: Register = Register::at(0x4002_3834);
const RCC_APB1: Register = Register::at(0x4002_3840);
const RCC_APB2: Register = Register::at(0x4002_3844);
const FLASH_ACCESS: Register = Register::at(0x4002_3c00);
const GPIOA_MODE: Register = Register::at(0x4002_0000);
const GPIOA_OUTPUT: Register = Register::at(0x4002_0014);
const GPIOA_ALTERNATE_HIGH: Register = Register::at(0x4002_0024);

/// Starts all the device needs, and gives its UART. To be called once.
///
/// # Panics
/// The second time.
pub fn start() -> Uart {
    let peripherals = Peripherals::take().expect("the first call");
    clocks();
    heap::start();
    time::start(peripherals.SYST, CORE);
    // PA9 to PA12 are TX, RX, CTS and RTS of USART1 (alternate function 7).
    GPIOA_MODE.modify(0xff << 18, 0b1010_1010 << 18);
    GPIOA_ALTERNATE_HIGH.modify(0xffff << 4, 0x7777 << 4);
    GPIOA_MODE.modify(0b11 << (2 * LIGHT), 0b01 << (2 * LIGHT));
    Uart::start()
}

/// 168 MHz from the internal oscillator, which any board has, and the 48 MHz of the generator of
/// random numbers (RM0090 §7.3.2).
fn clocks() {
    // Port A, the generator, power control, USART1.
    RCC_AHB1.modify(1, 1);
    RCC_AHB2.modify(1 << 6, 1 << 6);
    RCC_APB1.modify(1 << 28, 1 << 28);
    RCC_APB2.modify(1 << 4, 1 << 4);
    // The internal oscillator runs from the reset on, but in an emulator.
    if RCC_CONTROL.read() & HSI_READY == 0 {
        return;
    }
    const PLL_ON: u32 = 1 << 24;
    const PLL_READY: u32 = 1 << 25;
    // HSI / 16 × 336, / 2 for the core, / 7 for the generator.
    RCC_PLL.write(16 | 336 << 6 | 7 << 24);
    RCC_CONTROL.modify(PLL_ON, PLL_ON);
    RCC_CONTROL.wait_for(PLL_READY);
    // Five wait states, with prefetch and both caches (§3.5.1).
    FLASH_ACCESS.write(5 | 0b111 << 8);
    // APB1 / 4, APB2 / 2, and the core from the PLL.
    RCC_CONFIG.write(0b101 << 10 | 0b100 << 13 | 0b10);
    RCC_CONFIG.wait_for(0b10 << 2);
}

/// Turns the light of the board on or off.
pub fn toggle_light() {
    GPIOA_OUTPUT.write(GPIOA_OUTPUT.read() ^ 1 << LIGHT);
}

/// The end of the program: the emulation ends with `status`, a device starts again.
pub fn halt(status: u8) -> ! {
    #[cfg(feature = "semihosting")]
    crate::host::exit(status);
    #[cfg(not(feature = "semihosting"))]
    {
        let _ = status;
        cortex_m::peripheral::SCB::sys_reset()
    }
}

unsafe extern "C" {
    fn DefaultHandler();
}

/// Number of [`usart1`](crate::uart::interrupt) in the table.
pub(crate) const USART1: u32 = 37;

/// The interrupts of the chip (RM0090 §12.2); one is used.
#[unsafe(link_section = ".vector_table.interrupts")]
#[unsafe(no_mangle)]
static __INTERRUPTS: [unsafe extern "C" fn(); 82] = {
    let mut vectors: [unsafe extern "C" fn(); 82] = [DefaultHandler; 82];
    vectors[USART1 as usize] = crate::uart::interrupt;
    vectors
};
