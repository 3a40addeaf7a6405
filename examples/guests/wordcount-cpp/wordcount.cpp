// Counts words: `count` makes a table of one piece of text, `merge` combines several tables into one.
//
// A word is a maximal run of ASCII letters and digits. A table has a line `WORD COUNT` for each word, in the order of the words'
// bytes. `merge` gives the same result for any grouping and order of its tables.
#include <algorithm>
#include <charconv>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "wrun.h"

using std::string_view;

namespace {

// Words and how often each occurs. The words are not copied: they are in the mapped inputs.
using Table = std::unordered_map<string_view, uint64_t>;

bool is_word(char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'); }

string_view mapped(uint32_t input) {
    wrun_bytes bytes = wrun_map_input(input);
    return {reinterpret_cast<const char *>(bytes.first), bytes.len};
}

// Writes the table as text.
void write(const Table &table) {
    std::vector<std::pair<string_view, uint64_t>> entries(table.begin(), table.end());
    std::sort(entries.begin(), entries.end());
    std::string text;
    for (const auto &[word, count] : entries) text.append(word).append(" ").append(std::to_string(count)).append("\n");
    wrun_output_write(text.data(), text.size());
}

// Adds the table in `text`. Returns the number of the first line that is wrong, or 0.
unsigned add(Table &table, string_view text) {
    for (unsigned line = 1; !text.empty(); line++) {
        string_view row = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(row.size() + 1, text.size()));
        string_view word = row.substr(0, std::find_if_not(row.begin(), row.end(), is_word) - row.begin());
        const char *digits = row.data() + std::min(word.size() + 1, row.size()), *end = row.data() + row.size();
        uint64_t count = 0;
        auto parsed = std::from_chars(digits, end, count);
        if (word.empty() || word.size() == row.size() || row[word.size()] != ' ' || parsed.ptr != end || !count) return line;
        table[word] += count;
    }
    return 0;
}

}  // namespace

WRUN_TASK(count) {
    string_view text = mapped(0);
    Table table;
    for (auto at = text.begin(); at != text.end();) {
        auto word = std::find_if(at, text.end(), is_word);
        at = std::find_if_not(word, text.end(), is_word);
        if (word != at) table[text.substr(word - text.begin(), at - word)]++;
    }
    write(table);
    return WRUN_OK;
}

WRUN_TASK(merge) {
    Table table;
    for (uint32_t input = 0; input < wrun_input_count(); input++)
        if (unsigned line = add(table, mapped(input))) {
            std::string message = "table " + std::to_string(input) + ": line " + std::to_string(line) + " is not `WORD COUNT`";
            return wrun_fail(message.c_str());
        }
    write(table);
    return WRUN_OK;
}
