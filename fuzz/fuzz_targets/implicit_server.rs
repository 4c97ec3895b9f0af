#![no_main]
starttls_fuzz::target!(Server, "implicit");
