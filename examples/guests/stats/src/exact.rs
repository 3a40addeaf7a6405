//! Exact sums of `f64` and of their squares.

use num_bigint::{BigInt, BigUint, Sign};
use num_rational::Ratio;
use num_traits::{ToPrimitive, Zero};

/// The exponent of the unit of sums: every finite `f64` is a multiple of two to this power.
const UNIT_EXPONENT: i64 = -1074;

/// The sums of numbers and of their squares, without rounding.
#[derive(Default)]
pub struct Sums {
    /// The sum of the numbers, in units of `2^UNIT_EXPONENT`.
    sum: BigInt,
    /// The sum of their squares, in squares of that unit.
    squares: BigUint,
}

/// How many numbers [`Bins`] can hold: their squares have 106 bits, and sums of 2^22 of them fit into 128 bits.
const BIN_CAPACITY: usize = 1 << 22;

/// Sums of significands, one for each exponent that a number can have: adding to them is exact and fast.
struct Bins {
    bins: Vec<(i128, u128)>,
}

impl Sums {
    /// Adds numbers, which must all be finite.
    pub fn add(&mut self, numbers: impl Iterator<Item = f64>) {
        let mut numbers = numbers.peekable();
        while numbers.peek().is_some() {
            let mut bins = Bins { bins: vec![(0, 0); 2048] };
            numbers.by_ref().take(BIN_CAPACITY).for_each(|number| bins.add(number));
            self.add_bins(&bins);
        }
    }

    fn add_bins(&mut self, bins: &Bins) {
        for (exponent, (sum, squares)) in bins.bins.iter().enumerate() {
            if *squares != 0 {
                // Subnormal numbers (exponent 0) have the same unit as numbers with exponent 1.
                let shift = exponent.max(1) - 1;
                self.sum += BigInt::from(*sum) << shift;
                self.squares += BigUint::from(*squares) << (2 * shift);
            }
        }
    }

    /// Adds the sums of other numbers.
    pub fn merge(&mut self, other: &Sums) {
        self.sum += &other.sum;
        self.squares += &other.squares;
    }

    /// The mean of `count` numbers, rounded once.
    pub fn mean(&self, count: u64) -> f64 {
        rounded(self.sum.clone(), BigInt::from(count), UNIT_EXPONENT)
    }

    /// The population variance of `count` numbers, rounded once; infinite if it exceeds the range of `f64`.
    pub fn variance(&self, count: u64) -> f64 {
        let count = BigInt::from(count);
        let difference = &count * BigInt::from(self.squares.clone()) - &self.sum * &self.sum;
        rounded(difference, &count * &count, 2 * UNIT_EXPONENT)
    }

    /// The two sums as text: an integer in hexadecimal, `p`, and a power of two in decimal.
    pub fn to_text(&self) -> (String, String) {
        (to_text(&self.sum, UNIT_EXPONENT), to_text(&BigInt::from(self.squares.clone()), 2 * UNIT_EXPONENT))
    }

    /// The sums that [`to_text`](Self::to_text) wrote.
    pub fn from_text(sum: &str, squares: &str) -> Option<Sums> {
        let squares = from_text(squares, 2 * UNIT_EXPONENT)?;
        Some(Sums { sum: from_text(sum, UNIT_EXPONENT)?, squares: squares.to_biguint()? })
    }
}

impl Bins {
    fn add(&mut self, number: f64) {
        let bits = number.to_bits();
        let exponent = (bits >> 52) as usize & 0x7ff;
        let fraction = bits & ((1 << 52) - 1);
        let significand = if exponent == 0 { fraction } else { fraction | 1 << 52 };
        let (sum, squares) = &mut self.bins[exponent];
        *sum += i128::from(if number.is_sign_negative() { -(significand as i64) } else { significand as i64 });
        *squares += u128::from(significand) * u128::from(significand);
    }
}

/// `numerator / denominator * 2^exponent` as the nearest `f64`.
fn rounded(numerator: BigInt, denominator: BigInt, exponent: i64) -> f64 {
    let exact = Ratio::new_raw(numerator, denominator << exponent.unsigned_abs());
    exact.to_f64().expect("every ratio of integers has a nearest f64")
}

fn to_text(number: &BigInt, exponent: i64) -> String {
    // Trailing zero bits would make up most of the text.
    let zeros = number.trailing_zeros().unwrap_or(exponent.unsigned_abs());
    format!("{:x}p{:+}", number >> zeros, exponent + zeros as i64)
}

fn from_text(text: &str, unit_exponent: i64) -> Option<BigInt> {
    let (digits, exponent) = text.split_once('p')?;
    let (sign, digits) = match digits.strip_prefix('-') {
        Some(digits) => (Sign::Minus, digits),
        None => (Sign::Plus, digits),
    };
    let magnitude = BigUint::parse_bytes(digits.as_bytes(), 16)?;
    let shift = exponent.parse::<i64>().ok()?.checked_sub(unit_exponent)?;
    // The largest sums have a few thousand bits: a larger shift is a mistake that must not use up the memory.
    let shift = u64::try_from(shift).ok().filter(|shift| *shift < 10_000)?;
    let sign = if magnitude.is_zero() { Sign::NoSign } else { sign };
    Some(BigInt::from_biguint(sign, magnitude << shift))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sums(numbers: &[f64]) -> Sums {
        let mut sums = Sums::default();
        sums.add(numbers.iter().copied());
        sums
    }

    #[test]
    fn text_reads_back() {
        for numbers in [&[][..], &[0.0], &[-1.5, 3.25e-310], &[f64::MAX, f64::MAX], &[-f64::MAX, 5e-324]] {
            let (sum, squares) = sums(numbers).to_text();
            let read = Sums::from_text(&sum, &squares).unwrap();
            assert_eq!(read.to_text(), (sum, squares), "{numbers:?}");
        }
    }

    #[test]
    fn text_that_would_use_up_the_memory_is_refused() {
        assert!(Sums::from_text("1p+999999999999", "1p+0").is_none());
        assert!(Sums::from_text("1p-1075", "1p+0").is_none());
        assert!(Sums::from_text("1p+0", "-1p+0").is_none());
    }

    #[test]
    fn one_number_is_its_own_mean() {
        for number in [1.0, -0.1, 5e-324, f64::MAX, f64::MIN_POSITIVE, 1e-310, 123456789.125] {
            assert_eq!(sums(&[number]).mean(1), number);
            assert_eq!(sums(&[number]).variance(1), 0.0);
            assert_eq!(sums(&[number; 3]).mean(3), number);
        }
    }

    #[test]
    fn more_numbers_than_bins_hold_are_summed_exactly() {
        let count = BIN_CAPACITY + 3;
        let mut sums = Sums::default();
        sums.add(std::iter::repeat_n(f64::MAX, count));
        assert_eq!(sums.mean(count as u64), f64::MAX);
        assert_eq!(sums.variance(count as u64), 0.0);
    }
}
