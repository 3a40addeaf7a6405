/* Counts words.
 *
 *     wrun map MODULE --call count --split 16M big.txt --reduce merge
 *
 * A word is a maximal run of ASCII letters and digits. `count` writes a line `WORD COUNT` for each word, in the order
 * of the words' bytes; `merge` combines several such tables into one, in any grouping and order.
 */
#include <stdio.h>

#include "wrun.h"

/* A word and how often it occurs. The word is not copied: it points into its text or table. */
struct entry {
    const unsigned char *word;
    uint32_t len;
    uint32_t hash;
    uint64_t count; /* 0 in free slots */
};

/* A hash table with open addressing: the number of slots is a power of two, and at most half of them are used. */
struct table {
    struct entry *slots;
    uint32_t mask;
    uint32_t used;
};

static struct entry *new_slots(uint32_t count) {
    size_t size = (size_t)count * sizeof(struct entry);
    return (struct entry *)memset(wrun_alloc(size), 0, size);
}

static struct table new_table(void) {
    struct table table = {new_slots(1u << 12), (1u << 12) - 1, 0};
    return table;
}

/* The word's slot, or the free slot where it belongs. */
static struct entry *find(const struct table *table, const unsigned char *word, uint32_t len, uint32_t hash) {
    for (uint32_t at = hash & table->mask;; at = (at + 1) & table->mask) {
        struct entry *entry = &table->slots[at];
        if (!entry->count) return entry;
        if (entry->hash == hash && entry->len == len && !memcmp(entry->word, word, len)) return entry;
    }
}

static void grow(struct table *table) {
    struct table larger = {new_slots(2 * (table->mask + 1)), 2 * table->mask + 1, table->used};
    for (uint32_t at = 0; at <= table->mask; at++) {
        const struct entry *entry = &table->slots[at];
        if (entry->count) *find(&larger, entry->word, entry->len, entry->hash) = *entry;
    }
    free(table->slots);
    *table = larger;
}

static void add(struct table *table, const unsigned char *word, uint32_t len, uint32_t hash, uint64_t count) {
    struct entry *entry = find(table, word, len, hash);
    if (entry->count) {
        entry->count += count;
        return;
    }
    *entry = (struct entry){word, len, hash, count};
    if (++table->used > table->mask / 2) grow(table);
}

/* 1 for ASCII letters and digits. */
static unsigned char is_word[256];

static void prepare_is_word(void) {
    for (int c = 0; c < 256; c++)
        is_word[c] = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/* The end of the word that begins at `at`; `hash` becomes the hash of its bytes. */
static const unsigned char *end_of_word(const unsigned char *at, const unsigned char *end, uint32_t *hash) {
    uint64_t mixed = 0;
    for (; at < end && is_word[*at]; at++) mixed = ((mixed << 5 | mixed >> 59) ^ *at) * 0x517cc1b727220a95u;
    *hash = (uint32_t)(mixed ^ mixed >> 32);
    return at;
}

static int by_word(const void *a, const void *b) {
    const struct entry *x = (const struct entry *)a, *y = (const struct entry *)b;
    int order = memcmp(x->word, y->word, x->len < y->len ? x->len : y->len);
    return order ? order : (x->len > y->len) - (x->len < y->len);
}

/* Writes the table as text and consumes it. */
static void write_table(struct table *table) {
    struct entry *entries = table->slots;
    size_t size = 0, used = 0;
    for (uint32_t at = 0; at <= table->mask; at++) {
        if (!entries[at].count) continue;
        size += entries[at].len + 22; /* a space, at most 20 digits, and the line's end */
        entries[used++] = entries[at];
    }
    qsort(entries, used, sizeof *entries, by_word);

    char *text = (char *)wrun_alloc(size), *to = text;
    for (size_t at = 0; at < used; at++) {
        char digits[20];
        int first = sizeof digits;
        for (uint64_t rest = entries[at].count; rest; rest /= 10) digits[--first] = (char)('0' + rest % 10);
        memcpy(to, entries[at].word, entries[at].len);
        to += entries[at].len;
        *to++ = ' ';
        memcpy(to, digits + first, sizeof digits - first);
        to += sizeof digits - first;
        *to++ = '\n';
    }
    wrun_output_write(text, to - text);
}

WRUN_TASK(count) {
    struct wrun_bytes text = wrun_map_input(0);
    const unsigned char *at = text.first, *end = text.first + text.len;
    struct table table = new_table();
    prepare_is_word();
    while (at < end) {
        const unsigned char *word = at;
        uint32_t hash;
        if (!is_word[*at]) {
            at++;
            continue;
        }
        at = end_of_word(word, end, &hash);
        add(&table, word, (uint32_t)(at - word), hash, 1);
    }
    write_table(&table);
    return WRUN_OK;
}

WRUN_TASK(merge) {
    struct table table = new_table();
    prepare_is_word();
    for (uint32_t input = 0; input < wrun_input_count(); input++) {
        struct wrun_bytes text = wrun_map_input(input);
        const unsigned char *at = text.first, *end = text.first + text.len;
        for (unsigned line = 1; at < end; line++) {
            const unsigned char *word = at, *digits;
            uint32_t hash;
            uint64_t count = 0;
            at = end_of_word(word, end, &hash);
            uint32_t len = (uint32_t)(at - word);
            if (at < end && *at == ' ') at++;
            for (digits = at; at < end && *at >= '0' && *at <= '9'; at++) count = 10 * count + (*at - '0');
            if (!len || at == digits || !count || (at < end && *at != '\n')) {
                char message[80];
                snprintf(message, sizeof message, "table %u: line %u is not `WORD COUNT`", input, line);
                return wrun_fail(message);
            }
            if (at < end) at++;
            add(&table, word, len, hash, count);
        }
    }
    write_table(&table);
    return WRUN_OK;
}
