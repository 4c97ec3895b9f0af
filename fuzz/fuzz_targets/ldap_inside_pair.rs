#![no_main]
starttls_fuzz::target!();
