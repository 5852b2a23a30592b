// SPDX-License-Identifier: BSD-3-Clause
//
// The B+-tree of idmap.h: descents remember the way down, changes go back up along it. Whoever owns
// the map's owner runs it. Invariants: all leaves are equally deep and none is empty; separators
// are not above the lowest id of their child and above all of the child before; a separator 0 means
// nothing. Leaves merge with a neighbour under the same parent when both have become sparse.
// Called by streams.
#include "engine/encoding/idmap.h"

#include <string.h>

#include "engine/base/alloc.h"
#include "engine/base/assert.h"

#define LEAF_ROOM    40 // with them, a block is one of the slab's cells
#define INNER_ROOM   42
#define HEIGHT_MAX   24 // inner nodes may be sparse: far more than full ones would need
#define SPARSE(n)    ((n) / 4)
#define MERGED(n)    ((n)*3 / 4) // no fuller than this after a merge, or the next insert splits it
#define LEAF_SIZE(n) (sizeof(struct idmap_leaf) + (n) * sizeof(struct idmap_entry))

struct child {
    struct stream_id separator;
    void *node;
};

struct inner {
    uint32_t count;
    struct child at[INNER_ROOM];
};

/** The way from the root to a leaf: at each inner node, which child. */
struct way {
    struct inner *node[HEIGHT_MAX];
    uint32_t at[HEIGHT_MAX];
};

static void *block_new(struct idmap *m, size_t size) {
    void *block = mem_alloc(size);
    m->memory += mem_usable(block);
    return block;
}

static void block_free(struct idmap *m, void *block) {
    m->memory -= mem_usable(block);
    mem_free(block);
}

// ---- finding -----------------------------------------------------------------------------------

/** Which child of an inner node has the ids around `id`: the last whose separator is not above. */
static inline uint32_t child_of(const struct inner *n, struct stream_id id) {
    uint32_t low = 0, high = n->count;
    while (high - low > 1) {
        uint32_t middle = (low + high) / 2;
        if (stream_id_less(id, n->at[middle].separator))
            high = middle;
        else
            low = middle;
    }
    return low;
}

/** How many ids of a leaf are below `id`. */
static inline uint32_t rank_in(const struct idmap_leaf *leaf, struct stream_id id) {
    uint32_t low = 0, high = leaf->count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (stream_id_less(leaf->at[middle].id, id))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static inline struct idmap_leaf *leaf_of(const struct idmap *m, struct stream_id id) {
    void *node = m->root;
    for (uint32_t level = 0; level < m->height; level++) {
        const struct inner *n = node;
        node = n->at[child_of(n, id)].node;
    }
    return node;
}

/** Whether the leaf has `id` at that place. */
static inline bool has(const struct idmap_leaf *leaf, uint32_t at, struct stream_id id) {
    return at < leaf->count && stream_id_equal(leaf->at[at].id, id);
}

void *idmap_find(const struct idmap *m, struct stream_id id) {
    const struct idmap_leaf *leaf = leaf_of(m, id);
    if (leaf == NULL) return NULL;
    uint32_t at = rank_in(leaf, id);
    return has(leaf, at, id) ? leaf->at[at].value : NULL;
}

struct idmap_place idmap_ceiling(const struct idmap *m, struct stream_id id) {
    struct idmap_leaf *leaf = leaf_of(m, id);
    if (leaf == NULL) return (struct idmap_place){0};
    uint32_t at = rank_in(leaf, id);
    if (at < leaf->count) return (struct idmap_place){leaf, at};
    return (struct idmap_place){leaf->next, 0};
}

struct idmap_place idmap_floor(const struct idmap *m, struct stream_id id) {
    struct idmap_leaf *leaf = leaf_of(m, id);
    if (leaf == NULL) return (struct idmap_place){0};
    struct idmap_place place = {leaf, rank_in(leaf, id)};
    if (!has(leaf, place.index, id)) idmap_previous(&place);
    return place;
}

// ---- adding ------------------------------------------------------------------------------------

/** The leaf where `id` is or belongs, and the way to it. */
static struct idmap_leaf *descend(const struct idmap *m, struct stream_id id, struct way *way) {
    void *node = m->root;
    ASSERT(m->height <= HEIGHT_MAX);
    for (uint32_t level = 0; level < m->height; level++) {
        struct inner *n = node;
        way->node[level] = n;
        way->at[level] = child_of(n, id);
        node = n->at[way->at[level]].node;
    }
    return node;
}

/** The same for an id above all others, without looking for it. */
static struct idmap_leaf *descend_last(const struct idmap *m, struct way *way) {
    void *node = m->root;
    ASSERT(m->height <= HEIGHT_MAX);
    for (uint32_t level = 0; level < m->height; level++) {
        struct inner *n = node;
        way->node[level] = n;
        way->at[level] = n->count - 1;
        node = n->at[n->count - 1].node;
    }
    return node;
}

static void child_insert(struct inner *n, uint32_t at, struct child child) {
    memmove(&n->at[at + 1], &n->at[at], (n->count - at) * sizeof n->at[0]);
    n->at[at] = child;
    n->count++;
}

static void new_root(struct idmap *m, struct child right) {
    struct inner *root = block_new(m, sizeof *root);
    root->count = 2;
    root->at[0] = (struct child){.node = m->root};
    root->at[1] = right;
    m->root = root;
    m->height++;
}

/** Enters a fresh node right of the one at the end of the way, splitting what is full. */
static void enter(struct idmap *m, struct way *way, struct child child) {
    for (uint32_t level = m->height; level-- > 0;) {
        struct inner *n = way->node[level];
        uint32_t at = way->at[level] + 1;
        if (n->count < INNER_ROOM) {
            child_insert(n, at, child);
            return;
        }
        struct inner *right = block_new(m, sizeof *right);
        // At the end nothing moves: the left one stays full.
        uint32_t keep = at == INNER_ROOM ? INNER_ROOM : INNER_ROOM / 2;
        right->count = n->count - keep;
        memcpy(right->at, &n->at[keep], right->count * sizeof n->at[0]);
        n->count = keep;
        if (at > keep || right->count == 0)
            child_insert(right, at - keep, child);
        else
            child_insert(n, at, child);
        child = (struct child){right->at[0].separator, right};
    }
    new_root(m, child);
}

static void entry_insert(struct idmap_leaf *leaf, uint32_t at, struct idmap_entry entry) {
    memmove(&leaf->at[at + 1], &leaf->at[at], (leaf->count - at) * sizeof leaf->at[0]);
    leaf->at[at] = entry;
    leaf->count++;
}

static struct idmap_leaf *leaf_new(struct idmap *m, uint16_t room) {
    struct idmap_leaf *leaf = block_new(m, LEAF_SIZE(room));
    *leaf = (struct idmap_leaf){.room = room};
    return leaf;
}

/** Splits a full leaf, and inserts the entry. */
static void leaf_split(struct idmap *m, struct way *way, struct idmap_leaf *leaf, uint32_t at,
                       struct idmap_entry entry) {
    struct idmap_leaf *right = leaf_new(m, LEAF_ROOM);
    uint16_t keep = at == LEAF_ROOM && leaf->next == NULL ? LEAF_ROOM : LEAF_ROOM / 2;
    right->count = (uint16_t)(leaf->count - keep);
    memcpy(right->at, &leaf->at[keep], right->count * sizeof leaf->at[0]);
    leaf->count = keep;
    right->previous = leaf;
    right->next = leaf->next;
    leaf->next = right;
    if (right->next != NULL)
        right->next->previous = right;
    else
        m->last = right;
    if (at > keep || right->count == 0)
        entry_insert(right, at - keep, entry);
    else
        entry_insert(leaf, at, entry);
    enter(m, way, (struct child){right->at[0].id, right});
}

/** Makes the only leaf of a small map larger. */
static struct idmap_leaf *leaf_grow(struct idmap *m, struct idmap_leaf *leaf) {
    uint16_t room = (uint16_t)(leaf == NULL ? 2 : leaf->room * 2);
    if (room > LEAF_ROOM / 2) room = LEAF_ROOM;
    struct idmap_leaf *grown = leaf_new(m, room);
    if (leaf != NULL) {
        memcpy(grown->at, leaf->at, leaf->count * sizeof leaf->at[0]);
        grown->count = leaf->count;
        block_free(m, leaf);
    }
    m->root = m->first = m->last = grown;
    return grown;
}

void *idmap_add(struct idmap *m, struct stream_id id, void *value) {
    struct way way;
    struct idmap_leaf *leaf = m->last;
    uint32_t at;
    ASSERT_DEV(value != NULL);
    if (leaf == NULL || stream_id_less(leaf->at[leaf->count - 1].id, id)) {
        // Behind all others: the way is only needed when the last leaf is full.
        at = leaf != NULL ? leaf->count : 0;
        if (leaf != NULL && leaf->count == LEAF_ROOM) descend_last(m, &way);
    } else {
        leaf = descend(m, id, &way);
        at = rank_in(leaf, id);
        if (has(leaf, at, id)) return leaf->at[at].value;
    }
    struct idmap_entry entry = {id, value};
    m->count++;
    if (leaf != NULL && leaf->count == LEAF_ROOM) {
        leaf_split(m, &way, leaf, at, entry);
        return NULL;
    }
    if (leaf == NULL || leaf->count == leaf->room) leaf = leaf_grow(m, leaf);
    entry_insert(leaf, at, entry);
    return NULL;
}

// ---- removing ----------------------------------------------------------------------------------

static void child_remove(struct inner *n, uint32_t at) {
    n->count--;
    memmove(&n->at[at], &n->at[at + 1], (n->count - at) * sizeof n->at[0]);
}

/** Moves the children of the right one of two sparse neighbours to the left one. */
static bool inner_merge(struct idmap *m, struct inner *parent, uint32_t left) {
    struct inner *a = parent->at[left].node, *b = parent->at[left + 1].node;
    if (a->count + b->count > MERGED(INNER_ROOM)) return false;
    b->at[0].separator = parent->at[left + 1].separator;
    memcpy(&a->at[a->count], b->at, b->count * sizeof b->at[0]);
    a->count += b->count;
    block_free(m, b);
    child_remove(parent, left + 1);
    return true;
}

static void unlink_leaf(struct idmap *m, struct idmap_leaf *leaf) {
    *(leaf->previous != NULL ? &leaf->previous->next : &m->first) = leaf->next;
    *(leaf->next != NULL ? &leaf->next->previous : &m->last) = leaf->previous;
    block_free(m, leaf);
}

static bool leaf_merge(struct idmap *m, struct inner *parent, uint32_t left) {
    struct idmap_leaf *a = parent->at[left].node, *b = parent->at[left + 1].node;
    if (a->count + b->count > MERGED(LEAF_ROOM)) return false;
    memcpy(&a->at[a->count], b->at, b->count * sizeof b->at[0]);
    a->count = (uint16_t)(a->count + b->count);
    unlink_leaf(m, b);
    child_remove(parent, left + 1);
    return true;
}

/** A child at the end of the way has lost something or is gone: tidies up the nodes above it. */
static void tidy_up(struct idmap *m, const struct way *way) {
    for (uint32_t level = m->height; level-- > 0;) {
        struct inner *n = way->node[level];
        if (level == 0) break;
        struct inner *parent = way->node[level - 1];
        uint32_t at = way->at[level - 1];
        if (n->count == 0) {
            block_free(m, n);
            child_remove(parent, at);
        } else if (n->count > SPARSE(INNER_ROOM) ||
                   !((at > 0 && inner_merge(m, parent, at - 1)) ||
                     (at + 1 < parent->count && inner_merge(m, parent, at)))) {
            break;
        }
    }
    while (m->height > 0 && ((struct inner *)m->root)->count <= 1) {
        struct inner *root = m->root;
        m->root = root->count == 1 ? root->at[0].node : NULL;
        m->height = root->count == 1 ? m->height - 1 : 0;
        block_free(m, root);
    }
}

/** A leaf has lost an entry: frees it when it is empty, merges it when it is sparse. */
static void leaf_shrunk(struct idmap *m, const struct way *way, struct idmap_leaf *leaf) {
    if (leaf->count > SPARSE(LEAF_ROOM)) return;
    struct inner *parent = m->height > 0 ? way->node[m->height - 1] : NULL;
    uint32_t at = m->height > 0 ? way->at[m->height - 1] : 0;
    if (leaf->count == 0) {
        unlink_leaf(m, leaf);
        if (parent != NULL)
            child_remove(parent, at);
        else
            m->root = NULL;
    } else if (parent == NULL || !((at > 0 && leaf_merge(m, parent, at - 1)) ||
                                   (at + 1 < parent->count && leaf_merge(m, parent, at)))) {
        return;
    }
    tidy_up(m, way);
}

void *idmap_remove(struct idmap *m, struct stream_id id) {
    struct way way;
    if (m->root == NULL) return NULL;
    struct idmap_leaf *leaf = descend(m, id, &way);
    uint32_t at = rank_in(leaf, id);
    if (!has(leaf, at, id)) return NULL;
    void *value = leaf->at[at].value;
    leaf->count--;
    memmove(&leaf->at[at], &leaf->at[at + 1], (leaf->count - at) * sizeof leaf->at[0]);
    m->count--;
    leaf_shrunk(m, &way, leaf);
    return value;
}

// ---- the whole ---------------------------------------------------------------------------------

static void free_below(void *node, uint32_t height, void (*drop)(void *value)) {
    if (height > 0) {
        struct inner *n = node;
        for (uint32_t i = 0; i < n->count; i++) free_below(n->at[i].node, height - 1, drop);
    } else if (drop != NULL) {
        struct idmap_leaf *leaf = node;
        for (uint32_t i = 0; i < leaf->count; i++) drop(leaf->at[i].value);
    }
    mem_free(node);
}

void idmap_fini(struct idmap *m, void (*drop)(void *value)) {
    if (m->root != NULL) free_below(m->root, m->height, drop);
    *m = (struct idmap){0};
}

/** What a walk over all nodes has seen. */
struct walk {
    const struct idmap *map;
    struct idmap_leaf *previous;
    size_t count, memory;
};

/** A leaf whose ids lie from `low` to, not including, `high` (NULL: without a bound). */
static bool leaf_is_valid(struct walk *w, struct idmap_leaf *leaf, const struct stream_id *low,
                          const struct stream_id *high) {
    if (leaf->count == 0 || leaf->count > leaf->room || leaf->room > LEAF_ROOM) return false;
    if (leaf->room < LEAF_ROOM && w->map->height > 0) return false;
    if (leaf->previous != w->previous) return false;
    if ((w->previous != NULL ? w->previous->next : w->map->first) != leaf) return false;
    if (low != NULL && stream_id_less(leaf->at[0].id, *low)) return false;
    if (high != NULL && !stream_id_less(leaf->at[leaf->count - 1].id, *high)) return false;
    for (uint32_t i = 0; i < leaf->count; i++) {
        if (leaf->at[i].value == NULL) return false;
        if (i > 0 && !stream_id_less(leaf->at[i - 1].id, leaf->at[i].id)) return false;
    }
    w->previous = leaf;
    w->count += leaf->count;
    w->memory += mem_usable(leaf);
    return true;
}

static bool is_valid_below(struct walk *w, void *node, uint32_t height, const struct stream_id *low,
                           const struct stream_id *high) {
    if (height == 0) return leaf_is_valid(w, node, low, high);
    struct inner *n = node;
    if (n->count == 0 || n->count > INNER_ROOM) return false;
    for (uint32_t i = 0; i < n->count; i++) {
        const struct stream_id *from = i > 0 ? &n->at[i].separator : low;
        const struct stream_id *to = i + 1 < n->count ? &n->at[i + 1].separator : high;
        if (!is_valid_below(w, n->at[i].node, height - 1, from, to)) return false;
    }
    w->memory += mem_usable(n);
    return true;
}

bool idmap_is_valid(const struct idmap *m) {
    struct walk w = {.map = m};
    if (m->height > HEIGHT_MAX) return false;
    if (m->root == NULL)
        return m->count == 0 && m->memory == 0 && m->height == 0 && m->first == NULL &&
               m->last == NULL;
    if (!is_valid_below(&w, m->root, m->height, NULL, NULL)) return false;
    return w.previous == m->last && m->last->next == NULL && w.count == m->count &&
           w.memory == m->memory;
}
