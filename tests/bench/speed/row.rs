//! What a row of the speed table is, and what is measured for it.

/// One row: measured once by each call.
pub struct Row {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it does, in a few words.
    pub what: &'static str,
    /// Measures it once. Every run returns the same measures in the same order.
    pub measure: fn(&Arguments) -> Vec<Measure>,
}

/// One number of a row.
#[derive(Debug, Clone)]
pub struct Measure {
    /// What was measured.
    pub what: String,
    /// The number.
    pub value: f64,
    /// Its unit.
    pub unit: &'static str,
    /// A limit or a peer that was measured in the same run.
    pub limit: Option<Limit>,
}

/// What a number is compared with: the same work done by something else, in the same unit.
#[derive(Debug, Clone)]
pub struct Limit {
    /// What did it.
    pub name: &'static str,
    /// What it took.
    pub value: f64,
}

impl Measure {
    /// A number without a limit.
    pub fn new(what: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self { what: what.into(), value, unit, limit: None }
    }

    /// The same with a limit.
    pub fn against(self, name: &'static str, value: f64) -> Self {
        Self { limit: Some(Limit { name, value }), ..self }
    }

    /// How many times the limit it is.
    pub fn ratio(&self) -> Option<f64> {
        self.limit.as_ref().map(|limit| self.value / limit.value)
    }

    /// The number with its unit.
    pub fn number(&self) -> String {
        let digits = if self.value >= 100.0 { 0 } else { 2 };
        format!("{:.digits$} {}", self.value, self.unit)
    }

    /// One line.
    pub fn shown(&self) -> String {
        let ratio = match (&self.limit, self.ratio()) {
            (Some(limit), Some(ratio)) => format!(" ({ratio:.2} x {})", limit.name),
            _ => String::new(),
        };
        format!("{}: {}{ratio}", self.what, self.number())
    }
}

/// The middle one.
pub fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// What the command line says.
pub struct Arguments {
    /// The names of rows; `all` means every one.
    pub rows: Vec<String>,
    /// How often each is measured.
    pub runs: usize,
    /// Only show what rows there are.
    pub lists: bool,
    /// Where the table goes as well.
    pub table: Option<String>,
    options: Vec<(String, String)>,
}

impl Arguments {
    /// Reads them; what cargo adds of its own is left out.
    pub fn read() -> Self {
        let mut read = Self { rows: Vec::new(), runs: 5, lists: false, table: None, options: Vec::new() };
        let mut words = std::env::args().skip(1).filter(|word| word != "--bench");
        while let Some(word) = words.next() {
            match word.strip_prefix("--") {
                Some("list") => read.lists = true,
                Some(name) => {
                    let value = words.next().unwrap_or_else(|| panic!("--{name} wants a value"));
                    match name {
                        "runs" => read.runs = value.parse().unwrap(),
                        "table" => read.table = Some(value),
                        _ => read.options.push((name.to_owned(), value)),
                    }
                }
                None => read.rows.push(word),
            }
        }
        read.lists |= read.rows.is_empty();
        read
    }

    /// A number that a row may be told by an option of its own, such as `--files`.
    pub fn number(&self, name: &str, default: u64) -> u64 {
        let given = self.options.iter().find(|(option, _)| option == name);
        given.map_or(default, |(_, value)| value.parse().unwrap())
    }
}
