// SPDX-License-Identifier: BSD-3-Clause
//
// Searching the ranked tree: by score and member, by rank, by a bound. Nothing here writes, so any
// number of threads may be in here while nobody changes the tree. Every search goes down by
// counting the branches whose first element comes before what is looked for; where scores are
// equal, and only there, members are compared, which touches elements.
#include "engine/encoding/ranked.h"

#include "engine/base/alloc.h"
#include "engine/encoding/ranked_node.h"

struct ranked_element *ranked_element_new(double score, struct slice member) {
    ASSERT(member.n <= UINT32_MAX);
    bool is_long = member.n >= RANKED_LONG_MEMBER;
    struct ranked_element *e = mem_alloc(sizeof *e + (is_long ? 5 : 1) + member.n);
    e->score = score;
    uint8_t *p = e->bytes;
    *p++ = is_long ? RANKED_LONG_MEMBER : (uint8_t)member.n;
    if (is_long) {
        uint32_t n = (uint32_t)member.n;
        memcpy(p, &n, sizeof n);
        p += sizeof n;
    }
    if (member.n > 0) memcpy(p, member.p, member.n);
    return e;
}

void ranked_init(struct ranked *t) { *t = (struct ranked){0}; }

// ---- by score and member -----------------------------------------------------------------------

uint32_t ranked__leaf_find(const struct ranked_leaf *leaf, double score, struct slice member) {
    uint32_t low = scores_below(leaf->scores, leaf->count, score);
    if (low == leaf->count || leaf->scores[low] != score) return low;
    uint32_t high = low + scores_up_to(leaf->scores + low, leaf->count - low, score);
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (ranked_compare(ranked_member(ranked_pointer(leaf, middle)), member) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

// The last child whose first element is not behind (score, member).
static uint32_t inner_find(const struct inner *node, double score, struct slice member) {
    uint32_t low = 1, high = node->count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        const struct branch *b = &node->at[middle];
        if (b->score < score ||
            (b->score == score && ranked_compare(ranked_member(b->first), member) <= 0))
            low = middle + 1;
        else
            high = middle;
    }
    return low - 1;
}

static size_t count_before(const struct inner *node, uint32_t at) {
    size_t count = 0;
    for (uint32_t i = 0; i < at; i++) count += node->at[i].count;
    return count;
}

size_t ranked__find(const struct ranked *t, double score, struct slice member, struct path *path) {
    void *node = t->root;
    size_t rank = 0;
    for (uint32_t level = 0; level < t->depth; level++) {
        struct inner *inner = node;
        uint32_t at = inner_find(inner, score, member);
        path->node[level] = inner;
        path->at[level] = at;
        node = inner->at[at].child;
        if (level + 1 == t->depth) leaf_prefetch(node);
        rank += count_before(inner, at);
    }
    path->leaf = node;
    path->place = node != NULL ? ranked__leaf_find(node, score, member) : 0;
    return rank + path->place;
}

size_t ranked_rank(const struct ranked *t, const struct ranked_element *e) {
    struct path path;
    return ranked__find(t, e->score, ranked_member(e), &path);
}

// ---- by rank -----------------------------------------------------------------------------------

void ranked__find_rank(const struct ranked *t, size_t rank, struct path *path) {
    ASSERT(rank < t->count);
    void *node = t->root;
    for (uint32_t level = 0; level < t->depth; level++) {
        struct inner *inner = node;
        uint32_t at = 0;
        while (rank >= inner->at[at].count) rank -= inner->at[at++].count;
        path->node[level] = inner;
        path->at[level] = at;
        node = inner->at[at].child;
    }
    path->leaf = node;
    path->place = (uint32_t)rank;
}

struct ranked_place ranked_at(const struct ranked *t, size_t rank) {
    if (rank >= t->count) return (struct ranked_place){NULL, 0};
    if (rank == 0) return (struct ranked_place){t->first, 0};
    if (rank == t->count - 1) return (struct ranked_place){t->last, t->last->count - 1u};
    struct path path;
    ranked__find_rank(t, rank, &path);
    return (struct ranked_place){path.leaf, path.place};
}

// ---- bounds ------------------------------------------------------------------------------------

// A search that counts what comes before a bound may end behind the last element of a leaf: the
// place is the first one of the next leaf then, and the rank is right either way.
static void give_place(const struct ranked_leaf *leaf, uint32_t at, struct ranked_place *place) {
    if (place == NULL) return;
    bool beyond = at == leaf->count;
    *place = (struct ranked_place){beyond ? leaf->next : leaf, beyond ? 0 : at};
}

static uint32_t inner_below(const struct inner *node, double score, bool above) {
    uint32_t low = 1, high = node->count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        double first = node->at[middle].score;
        if (first < score || (above && first == score))
            low = middle + 1;
        else
            high = middle;
    }
    return low - 1;
}

size_t ranked_seek_score(const struct ranked *t, double score, bool above,
                         struct ranked_place *place) {
    const void *node = t->root;
    if (node == NULL) {
        if (place != NULL) *place = (struct ranked_place){NULL, 0};
        return 0;
    }
    size_t rank = 0;
    for (uint32_t level = 0; level < t->depth; level++) {
        const struct inner *inner = node;
        uint32_t at = inner_below(inner, score, above);
        node = inner->at[at].child;
        if (level + 1 == t->depth) leaf_prefetch(node);
        rank += count_before(inner, at);
    }
    const struct ranked_leaf *leaf = node;
    uint32_t at = above ? scores_up_to(leaf->scores, leaf->count, score)
                        : scores_below(leaf->scores, leaf->count, score);
    give_place(leaf, at, place);
    return rank + at;
}

static bool member_before(const struct ranked_element *e, struct slice member, bool above) {
    int order = ranked_compare(ranked_member(e), member);
    return order < 0 || (above && order == 0);
}

size_t ranked_seek_member(const struct ranked *t, struct slice member, bool above,
                          struct ranked_place *place) {
    const void *node = t->root;
    if (node == NULL) {
        if (place != NULL) *place = (struct ranked_place){NULL, 0};
        return 0;
    }
    size_t rank = 0;
    for (uint32_t level = 0; level < t->depth; level++) {
        const struct inner *inner = node;
        uint32_t low = 1, high = inner->count;
        while (low < high) {
            uint32_t middle = (low + high) / 2;
            bool before = member_before(inner->at[middle].first, member, above);
            low = before ? middle + 1 : low;
            high = before ? high : middle;
        }
        rank += count_before(inner, low - 1);
        node = inner->at[low - 1].child;
    }
    const struct ranked_leaf *leaf = node;
    uint32_t low = 0, high = leaf->count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        bool before = member_before(ranked_pointer(leaf, middle), member, above);
        low = before ? middle + 1 : low;
        high = before ? high : middle;
    }
    give_place(leaf, low, place);
    return rank + low;
}

// ---- the invariants ----------------------------------------------------------------------------

struct walk {
    const struct ranked *tree;
    const struct ranked_leaf *previous;
    const struct ranked_element *latest;
    size_t memory;
};

static bool leaf_is_valid(struct walk *w, const struct ranked_leaf *leaf) {
    if (leaf->count == 0 || leaf->count > leaf->room || leaf->room > RANKED_LEAF_MAX) return false;
    if (leaf->room % RANKED_STEP != 0 || leaf->previous != w->previous) return false;
    if (w->previous == NULL ? w->tree->first != leaf : w->previous->next != leaf) return false;
    for (uint32_t i = 0; i < leaf->count; i++) {
        const struct ranked_element *e = ranked_pointer(leaf, i);
        if (e->score != leaf->scores[i]) return false;
        const struct ranked_element *last = w->latest;
        if (last != NULL && last->score > e->score) return false;
        if (last != NULL && last->score == e->score &&
            ranked_compare(ranked_member(last), ranked_member(e)) >= 0)
            return false;
        w->latest = e;
    }
    w->previous = leaf;
    w->memory += mem_usable(leaf);
    return true;
}

// Checks a subtree; *first is its first element afterwards, *count the number of them.
static bool node_is_valid(struct walk *w, const void *node, uint32_t level,
                          const struct ranked_element **first, size_t *count) {
    if (level == w->tree->depth) {
        const struct ranked_leaf *leaf = node;
        *count = leaf->count;
        *first = leaf->count > 0 ? ranked_pointer(leaf, 0) : NULL;
        return leaf_is_valid(w, leaf);
    }
    const struct inner *inner = node;
    if (inner->count == 0 || inner->count > inner->room || inner->room > RANKED_INNER_MAX)
        return false;
    if (level == 0 && inner->count < 2) return false;
    w->memory += mem_usable(inner);
    *count = 0;
    for (uint32_t i = 0; i < inner->count; i++) {
        const struct branch *b = &inner->at[i];
        const struct ranked_element *of_child;
        size_t below;
        if (!node_is_valid(w, b->child, level + 1, &of_child, &below)) return false;
        if (below != b->count) return false;
        if (i == 0) *first = of_child;
        if (i > 0 && (b->first != of_child || b->score != of_child->score)) return false;
        *count += below;
    }
    return true;
}

bool ranked_is_valid(const struct ranked *t) {
    if (t->root == NULL)
        return t->count == 0 && t->memory == 0 && t->depth == 0 && t->first == NULL &&
               t->last == NULL;
    if (t->depth > RANKED_DEPTH_MAX) return false;
    struct walk w = {.tree = t};
    const struct ranked_element *first;
    size_t count;
    if (!node_is_valid(&w, t->root, 0, &first, &count)) return false;
    return count == t->count && w.memory == t->memory && t->last == w.previous &&
           w.previous->next == NULL;
}
