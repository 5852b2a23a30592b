// SPDX-License-Identifier: BSD-3-Clause
//
// Changing the ranked tree: insertion with splits, removal with merges, new scores, building at
// once. Runs on the thread that owns the tree. A change costs one way down, at most one split or
// merge for each level, and blocks of a kilobyte at most. Invariant between calls: a branch that is
// not the leftmost of its node names the first element below it, so whoever takes a first element
// away sets the nearest branch above that names it.
#include "engine/base/alloc.h"
#include "engine/encoding/ranked_node.h"

#define POINTER_BYTES 6

static uint16_t room_for(uint32_t count, uint32_t max) {
    uint32_t room = (count + RANKED_STEP - 1) / RANKED_STEP * RANKED_STEP;
    return (uint16_t)(room < max ? room : max);
}

// ---- blocks ------------------------------------------------------------------------------------

static struct ranked_leaf *leaf_new(struct ranked *t, uint32_t count) {
    uint16_t room = room_for(count, RANKED_LEAF_MAX);
    struct ranked_leaf *leaf = mem_alloc(sizeof *leaf + room * (sizeof(double) + POINTER_BYTES));
    leaf->next = leaf->previous = NULL;
    leaf->count = 0;
    leaf->room = room;
    t->memory += mem_usable(leaf);
    return leaf;
}

static void node_free(struct ranked *t, void *node) {
    t->memory -= mem_usable(node);
    mem_free(node);
}

static char *pointer_at(struct ranked_leaf *leaf, uint32_t at) {
    return (char *)(leaf->scores + leaf->room) + (size_t)POINTER_BYTES * at;
}

static void leaf_set(struct ranked_leaf *leaf, uint32_t at, const struct ranked_element *e) {
    uint64_t address = (uint64_t)(uintptr_t)e;
    ASSERT(address >> 48 == 0);
    uint32_t low = (uint32_t)address;
    uint16_t high = (uint16_t)(address >> 32);
    leaf->scores[at] = e->score;
    memcpy(pointer_at(leaf, at), &low, sizeof low);
    memcpy(pointer_at(leaf, at) + sizeof low, &high, sizeof high);
}

// Moves the entries from `at` on by some places, up or down; the count stays.
static void leaf_shift(struct ranked_leaf *leaf, uint32_t at, int by) {
    uint32_t n = leaf->count - at;
    double *scores = leaf->scores + at;
    memmove(scores + by, scores, n * sizeof *scores);
    memmove(pointer_at(leaf, at) + POINTER_BYTES * by, pointer_at(leaf, at),
            (size_t)n * POINTER_BYTES);
}

static void leaf_add(struct ranked_leaf *leaf, uint32_t at, const struct ranked_element *e) {
    leaf_shift(leaf, at, 1);
    leaf_set(leaf, at, e);
    leaf->count++;
}

static void leaf_cut(struct ranked_leaf *leaf, uint32_t at, uint32_t n) {
    leaf_shift(leaf, at + n, -(int)n);
    leaf->count = (uint16_t)(leaf->count - n);
}

// Appends n entries of another leaf; there is room.
static void leaf_take(struct ranked_leaf *to, const struct ranked_leaf *from, uint32_t at,
                      uint32_t n) {
    memcpy(to->scores + to->count, from->scores + at, n * sizeof(double));
    memcpy(pointer_at(to, to->count),
           (const char *)(from->scores + from->room) + (size_t)POINTER_BYTES * at,
           (size_t)POINTER_BYTES * n);
    to->count = (uint16_t)(to->count + n);
}

// Makes what stands before and behind a leaf point to it.
static void leaf_link(struct ranked *t, struct ranked_leaf *leaf) {
    *(leaf->previous != NULL ? &leaf->previous->next : &t->first) = leaf;
    *(leaf->next != NULL ? &leaf->next->previous : &t->last) = leaf;
}

static void leaf_unlink(struct ranked *t, struct ranked_leaf *leaf) {
    *(leaf->previous != NULL ? &leaf->previous->next : &t->first) = leaf->next;
    *(leaf->next != NULL ? &leaf->next->previous : &t->last) = leaf->previous;
    node_free(t, leaf);
}

// Gives a leaf a block for `count` entries; *slot is the pointer to it in its parent.
static struct ranked_leaf *leaf_resize(struct ranked *t, struct ranked_leaf *leaf, uint32_t count,
                                       void **slot) {
    if (room_for(count, RANKED_LEAF_MAX) == leaf->room) return leaf;
    struct ranked_leaf *moved = leaf_new(t, count);
    moved->next = leaf->next;
    moved->previous = leaf->previous;
    leaf_take(moved, leaf, 0, leaf->count);
    leaf_link(t, moved);
    node_free(t, leaf);
    *slot = moved;
    return moved;
}

static struct inner *inner_resize(struct ranked *t, struct inner *node, uint32_t count,
                                  void **slot) {
    uint32_t room = room_for(count, RANKED_INNER_MAX);
    if (node != NULL && room == node->room) return node;
    if (node != NULL) t->memory -= mem_usable(node);
    bool fresh = node == NULL;
    node = mem_realloc(node, sizeof *node + room * sizeof node->at[0]);
    t->memory += mem_usable(node);
    if (fresh) node->count = 0;
    node->room = room;
    *slot = node;
    return node;
}

/** Where the pointer to the path's node of a level (depth: the leaf) stands. */
static void **slot_of(struct ranked *t, struct path *path, uint32_t level) {
    if (level == 0) return &t->root;
    return &path->node[level - 1]->at[path->at[level - 1]].child;
}

void ranked_fini(struct ranked *t) {
    struct ranked_leaf *next;
    void *node = t->root;
    // Inner nodes first, depth by depth along a stack of places; then the chain of leaves.
    struct path path;
    uint32_t level = 0;
    if (t->depth > 0) {
        path.node[0] = node;
        path.at[0] = 0;
        for (;;) {
            struct inner *inner = path.node[level];
            if (level + 1 < t->depth && path.at[level] < inner->count) {
                path.node[level + 1] = inner->at[path.at[level]++].child;
                path.at[++level] = 0;
                continue;
            }
            mem_free(inner);
            if (level-- == 0) break;
        }
    }
    for (struct ranked_leaf *leaf = t->first; leaf != NULL; leaf = next) {
        next = leaf->next;
        mem_free(leaf);
    }
    ranked_init(t);
}

// ---- insertion ---------------------------------------------------------------------------------

static size_t sum(const struct inner *node) {
    size_t count = 0;
    for (uint32_t i = 0; i < node->count; i++) count += node->at[i].count;
    return count;
}

static void add_below(struct path *path, uint32_t levels, int64_t n) {
    for (uint32_t i = 0; i < levels; i++) path->node[i]->at[path->at[i]].count += (size_t)n;
}

static void inner_add(struct inner *node, uint32_t at, struct branch b) {
    memmove(node->at + at + 1, node->at + at, (node->count - at) * sizeof b);
    node->at[at] = b;
    node->count++;
}

static void new_root(struct ranked *t, size_t left_count, struct branch right) {
    ASSERT(t->depth < RANKED_DEPTH_MAX);
    void *left = t->root;
    struct inner *node = inner_resize(t, NULL, 2, &t->root);
    node->at[0] = (struct branch){.child = left, .count = left_count};
    node->at[1] = right;
    node->count = 2;
    t->depth++;
}

// The path's child below level `level - 1` has been split: its count is left_count now, and
// `right` is what stands behind it. The counts above grow by the one element that was inserted.
static void add_branch(struct ranked *t, struct path *path, uint32_t level, size_t left_count,
                       struct branch right) {
    while (level > 0) {
        level--;
        struct inner *node = path->node[level];
        uint32_t at = path->at[level] + 1;
        node->at[at - 1].count = left_count;
        if (node->count < RANKED_INNER_MAX) {
            if (node->count == node->room)
                node = inner_resize(t, node, node->count + 1, slot_of(t, path, level));
            inner_add(node, at, right);
            add_below(path, level, 1);
            return;
        }
        // What grows at its end leaves full nodes behind.
        uint32_t keep = at == node->count ? node->count - RANKED_STEP : node->count / 2;
        void *made;
        struct inner *behind = inner_resize(t, NULL, node->count - keep + 1, &made);
        behind->count = node->count - keep;
        memcpy(behind->at, node->at + keep, behind->count * sizeof right);
        node->count = keep;
        node = inner_resize(t, node, keep + 1, slot_of(t, path, level));
        if (at > keep)
            inner_add(behind, at - keep, right);
        else
            inner_add(node, at, right);
        left_count = sum(node);
        right = (struct branch){behind->at[0].score, behind->at[0].first, behind, sum(behind)};
    }
    new_root(t, left_count, right);
}

// The leaf is full: a new one behind it takes the upper half; at the ends of the tree, where
// insertion in order happens, all but the new element stays together.
static void split_leaf(struct ranked *t, struct path *path, const struct ranked_element *e) {
    struct ranked_leaf *leaf = path->leaf;
    uint32_t at = path->place, keep = leaf->count / 2u;
    if (at == leaf->count && leaf->next == NULL) keep = leaf->count;
    if (at == 0 && leaf->previous == NULL) keep = 0;
    bool to_right = at > keep || keep == leaf->count;
    struct ranked_leaf *right = leaf_new(t, leaf->count - keep + (to_right ? 1 : 0));
    leaf_take(right, leaf, keep, leaf->count - keep);
    right->previous = leaf;
    right->next = leaf->next;
    leaf_link(t, right);
    leaf->count = (uint16_t)keep;
    leaf = leaf_resize(t, leaf, keep + (to_right ? 0 : 1), slot_of(t, path, t->depth));
    if (to_right)
        leaf_add(right, at - keep, e);
    else
        leaf_add(leaf, at, e);
    add_branch(t, path, t->depth, leaf->count,
               (struct branch){right->scores[0], ranked_pointer(right, 0), right, right->count});
}

void ranked_insert(struct ranked *t, struct ranked_element *e) {
    ASSERT(e->score == e->score);
    t->count++;
    if (t->root == NULL) {
        t->root = t->first = t->last = leaf_new(t, 1);
        leaf_add(t->first, 0, e);
        return;
    }
    struct path path;
    ranked__find(t, e->score, ranked_member(e), &path);
    struct ranked_leaf *leaf = path.leaf;
    if (leaf->count == RANKED_LEAF_MAX) {
        split_leaf(t, &path, e);
        return;
    }
    if (leaf->count == leaf->room)
        leaf = leaf_resize(t, leaf, leaf->count + 1u, slot_of(t, &path, t->depth));
    leaf_add(leaf, path.place, e);
    add_below(&path, t->depth, 1);
}

// ---- removal -----------------------------------------------------------------------------------

// What is below the path's node of `level` begins with another element now.
static void set_first(struct path *path, uint32_t level, double score,
                      const struct ranked_element *first) {
    while (level-- > 0) {
        if (path->at[level] == 0) continue;
        path->node[level]->at[path->at[level]].score = score;
        path->node[level]->at[path->at[level]].first = first;
        return;
    }
}

static void drop_roots(struct ranked *t) {
    while (t->depth > 0 && ((struct inner *)t->root)->count == 1) {
        struct inner *root = t->root;
        t->root = root->at[0].child;
        t->depth--;
        node_free(t, root);
    }
}

static void merge_leaves(struct ranked *t, struct inner *parent, uint32_t left) {
    struct ranked_leaf *a = parent->at[left].child, *b = parent->at[left + 1].child;
    if (a->room < a->count + b->count)
        a = leaf_resize(t, a, a->count + (uint32_t)b->count, &parent->at[left].child);
    leaf_take(a, b, 0, b->count);
    leaf_unlink(t, b);
}

static void merge_inners(struct ranked *t, struct inner *parent, uint32_t left) {
    struct inner *a = parent->at[left].child, *b = parent->at[left + 1].child;
    a = inner_resize(t, a, a->count + b->count, &parent->at[left].child);
    b->at[0].score = parent->at[left + 1].score;
    b->at[0].first = parent->at[left + 1].first;
    memcpy(a->at + a->count, b->at, b->count * sizeof b->at[0]);
    a->count += b->count;
    node_free(t, b);
}

// Joins the path's node of `level` with a neighbour of the same parent, if it has become small and
// both together leave room. Returns the place in the parent of the branch that is empty then; 0:
// nothing was done.
static uint32_t merge(struct ranked *t, struct path *path, uint32_t level) {
    bool leaves = level == t->depth;
    uint32_t max = leaves ? RANKED_LEAF_MAX : RANKED_INNER_MAX;
    struct inner *parent = path->node[level - 1];
    uint32_t at = path->at[level - 1];
    for (uint32_t right = at + 1; right + 1 > at && right > 0; right--) {
        if (right == parent->count) continue;
        void *a = parent->at[right - 1].child, *b = parent->at[right].child;
        uint32_t both =
            leaves ? ((struct ranked_leaf *)a)->count + (uint32_t)((struct ranked_leaf *)b)->count
                   : ((struct inner *)a)->count + ((struct inner *)b)->count;
        if (both > max * 3 / 4) continue;
        if (leaves)
            merge_leaves(t, parent, right - 1);
        else
            merge_inners(t, parent, right - 1);
        parent->at[right - 1].count += parent->at[right].count;
        return right;
    }
    return 0;
}

// Takes a branch, whose child is gone, out of the path's node of `level`, and what becomes empty or
// small by that.
static void drop_branch(struct ranked *t, struct path *path, uint32_t level, uint32_t at) {
    for (;;) {
        struct inner *node = path->node[level];
        memmove(node->at + at, node->at + at + 1, (node->count - at - 1) * sizeof node->at[0]);
        node->count--;
        if (node->count == 0) {
            node_free(t, node);
            if (level == 0) {
                t->root = NULL;
                t->depth = 0;
                return;
            }
            at = path->at[--level];
            continue;
        }
        if (at == 0) set_first(path, level, node->at[0].score, node->at[0].first);
        if (node->room - node->count >= 2 * RANKED_STEP)
            node = inner_resize(t, node, node->count, slot_of(t, path, level));
        path->node[level] = node;
        if (level == 0 || node->count > RANKED_INNER_MAX / 4) break;
        at = merge(t, path, level);
        if (at == 0) break;
        level--;
    }
    drop_roots(t);
}

// Takes n entries out of the path's leaf, from its place on.
static void cut(struct ranked *t, struct path *path, uint32_t n) {
    struct ranked_leaf *leaf = path->leaf;
    leaf_cut(leaf, path->place, n);
    t->count -= n;
    add_below(path, t->depth, -(int64_t)n);
    if (leaf->count == 0) {
        leaf_unlink(t, leaf);
        if (t->depth == 0)
            t->root = NULL;
        else
            drop_branch(t, path, t->depth - 1, path->at[t->depth - 1]);
        return;
    }
    if (path->place == 0) set_first(path, t->depth, leaf->scores[0], ranked_pointer(leaf, 0));
    if (leaf->count <= RANKED_LEAF_MAX / 4 && t->depth > 0) {
        uint32_t empty = merge(t, path, t->depth);
        if (empty != 0) {
            drop_branch(t, path, t->depth - 1, empty);
            return;
        }
    }
    if (leaf->room - leaf->count >= 2 * RANKED_STEP)
        leaf_resize(t, leaf, leaf->count, slot_of(t, path, t->depth));
}

void ranked_remove(struct ranked *t, const struct ranked_element *e) {
    struct path path;
    ranked__find(t, e->score, ranked_member(e), &path);
    ASSERT(path.place < path.leaf->count && ranked_pointer(path.leaf, path.place) == e);
    cut(t, &path, 1);
}

void ranked_remove_range(struct ranked *t, size_t rank, size_t count,
                         void (*each)(void *context, struct ranked_element *e), void *context) {
    ASSERT(rank + count <= t->count);
    while (count > 0) {
        struct path path;
        struct ranked_element *out[RANKED_LEAF_MAX];
        ranked__find_rank(t, rank, &path);
        uint32_t n = path.leaf->count - path.place;
        if (n > count) n = (uint32_t)count;
        for (uint32_t i = 0; i < n; i++) out[i] = ranked_pointer(path.leaf, path.place + i);
        cut(t, &path, n);
        for (uint32_t i = 0; i < n; i++) each(context, out[i]);
        count -= n;
    }
}

// ---- new scores --------------------------------------------------------------------------------

// Whether an element of this leaf surely stays in it with another score.
static bool stays(const struct ranked_leaf *leaf, uint32_t at, double score) {
    double old = leaf->scores[at];
    uint32_t last = leaf->count - 1u;
    return (leaf->previous == NULL || score > leaf->scores[0] || (at == 0 && score > old)) &&
           (leaf->next == NULL || score < leaf->scores[last] || (at == last && score < old));
}

void ranked_move(struct ranked *t, struct ranked_element *e, double score) {
    ASSERT(score == score);
    struct path path;
    struct slice member = ranked_member(e);
    ranked__find(t, e->score, member, &path);
    struct ranked_leaf *leaf = path.leaf;
    ASSERT(path.place < leaf->count && ranked_pointer(leaf, path.place) == e);
    if (!stays(leaf, path.place, score)) {
        cut(t, &path, 1);
        e->score = score;
        ranked_insert(t, e);
        return;
    }
    leaf_cut(leaf, path.place, 1);
    e->score = score;
    uint32_t at = ranked__leaf_find(leaf, score, member);
    leaf_add(leaf, at, e);
    if (at == 0 || path.place == 0)
        set_first(&path, t->depth, leaf->scores[0], ranked_pointer(leaf, 0));
}

// ---- building ----------------------------------------------------------------------------------

// Puts branches of one level below nodes, whose branches take their place in the same array.
static size_t build_level(struct ranked *t, struct branch *branches, size_t n) {
    size_t made = 0;
    for (size_t i = 0; i < n; made++) {
        uint32_t take = (uint32_t)(n - i < RANKED_INNER_MAX ? n - i : RANKED_INNER_MAX);
        void *place;
        struct inner *node = inner_resize(t, NULL, take, &place);
        memcpy(node->at, branches + i, take * sizeof *branches);
        node->count = take;
        branches[made] = (struct branch){node->at[0].score, node->at[0].first, node, sum(node)};
        i += take;
    }
    t->depth++;
    return made;
}

bool ranked_build_step(struct ranked *t, struct ranked_building *b,
                       struct ranked_element *const *elements, size_t n, size_t most) {
    ASSERT(t->root == NULL);
    if (n == 0) return true;
    size_t nodes = (n + RANKED_LEAF_MAX - 1) / RANKED_LEAF_MAX;
    if (b->branches == NULL) b->branches = mem_alloc(nodes * sizeof *b->branches);
    for (size_t left = most / RANKED_LEAF_MAX + 1; b->nodes < nodes; left--) {
        if (left == 0) return false;
        size_t from = b->elements;
        uint32_t take = (uint32_t)(n - from < RANKED_LEAF_MAX ? n - from : RANKED_LEAF_MAX);
        struct ranked_leaf *leaf = leaf_new(t, take);
        for (uint32_t j = 0; j < take; j++) leaf_set(leaf, j, elements[from + j]);
        leaf->count = (uint16_t)take;
        leaf->previous = t->last;
        leaf_link(t, leaf);
        b->branches[b->nodes++] = (struct branch){leaf->scores[0], elements[from], leaf, take};
        b->elements += take;
    }
    while (nodes > 1) nodes = build_level(t, b->branches, nodes);
    t->root = b->branches[0].child;
    t->count = n;
    ranked_build_fini(b);
    return true;
}

void ranked_build_fini(struct ranked_building *b) {
    mem_free(b->branches);
    *b = (struct ranked_building){0};
}

void ranked_build(struct ranked *t, struct ranked_element *const *elements, size_t n) {
    struct ranked_building b = {0};
    bool done = ranked_build_step(t, &b, elements, n, SIZE_MAX);
    ASSERT(done);
}
