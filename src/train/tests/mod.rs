//! Data files and their complaints, the machines, the measures, and a head from file to answer.

mod data;
mod fit;
mod measures;
