#include "area.h"

_Static_assert(sizeof(struct vmap_area) <= META_CELL_BYTES, "an area fits a record's cell");

static unsigned height(const struct vmap_area *t)
{
    return t ? t->height : 0;
}

static size_t longest(const struct vmap_area *t)
{
    return t ? t->longest : 0;
}

/* From its children, which are right. */
static void update(struct vmap_area *t)
{
    unsigned l = height(t->left), r = height(t->right);

    t->height = (uint8_t)((l > r ? l : r) + 1);
    t->longest = t->end - t->start;
    if (longest(t->left) > t->longest)
        t->longest = longest(t->left);
    if (longest(t->right) > t->longest)
        t->longest = longest(t->right);
}

static struct vmap_area *rotate_right(struct vmap_area *t)
{
    struct vmap_area *top = t->left;

    t->left = top->right;
    top->right = t;
    update(t);
    update(top);
    return top;
}

static struct vmap_area *rotate_left(struct vmap_area *t)
{
    struct vmap_area *top = t->right;

    t->right = top->left;
    top->left = t;
    update(t);
    update(top);
    return top;
}

static struct vmap_area *balance(struct vmap_area *t)
{
    if (height(t->left) > height(t->right) + 1) {
        if (height(t->left->right) > height(t->left->left))
            t->left = rotate_left(t->left);
        return rotate_right(t);
    }
    if (height(t->right) > height(t->left) + 1) {
        if (height(t->right->left) > height(t->right->right))
            t->right = rotate_right(t->right);
        return rotate_left(t);
    }
    update(t);
    return t;
}

static struct vmap_area *insert(struct vmap_area *t, struct vmap_area *area)
{
    if (!t)
        return area;
    if (area->start < t->start)
        t->left = insert(t->left, area);
    else
        t->right = insert(t->right, area);
    return balance(t);
}

void area_insert(struct area_tree *tree, struct vmap_area *area)
{
    area->left = area->right = NULL;
    update(area);
    tree->root = insert(tree->root, area);
}

/* Takes the lowest area out of a tree that has one. */
static struct vmap_area *take_lowest(struct vmap_area *t, struct vmap_area **lowest)
{
    if (!t->left) {
        *lowest = t;
        return t->right;
    }
    t->left = take_lowest(t->left, lowest);
    return balance(t);
}

static struct vmap_area *without(struct vmap_area *t, struct vmap_area *area)
{
    if (area->start < t->start) {
        t->left = without(t->left, area);
    } else if (area->start > t->start) {
        t->right = without(t->right, area);
    } else if (!t->left || !t->right) {
        return t->left ? t->left : t->right;
    } else {
        struct vmap_area *next, *right = take_lowest(t->right, &next);

        next->left = t->left;
        next->right = right;
        t = next;
    }
    return balance(t);
}

void area_remove(struct area_tree *tree, struct vmap_area *area)
{
    tree->root = without(tree->root, area);
}

struct vmap_area *area_floor(const struct area_tree *tree, uintptr_t address)
{
    struct vmap_area *found = NULL;

    for (struct vmap_area *t = tree->root; t;) {
        if (t->start <= address)
            found = t;
        t = t->start <= address ? t->right : t->left;
    }
    return found;
}

struct vmap_area *area_above(const struct area_tree *tree, uintptr_t address)
{
    struct vmap_area *found = NULL;

    for (struct vmap_area *t = tree->root; t;) {
        if (t->start > address)
            found = t;
        t = t->start > address ? t->left : t->right;
    }
    return found;
}

static bool fits(const struct vmap_area *t, size_t bytes, size_t align)
{
    uintptr_t start = (t->start + align - 1) & -align;

    return start < t->end && t->end - start >= bytes;
}

/* Only an alignment above that of all areas makes it look in vain where something is long enough. */
static struct vmap_area *lowest_fit(struct vmap_area *t, size_t bytes, size_t align)
{
    struct vmap_area *found;

    if (longest(t) < bytes)
        return NULL;
    if ((found = lowest_fit(t->left, bytes, align)) != NULL)
        return found;
    return fits(t, bytes, align) ? t : lowest_fit(t->right, bytes, align);
}

struct vmap_area *area_lowest_fit(const struct area_tree *tree, size_t bytes, size_t align)
{
    return lowest_fit(tree->root, bytes, align);
}

static bool check(const struct vmap_area *t, uintptr_t above, uintptr_t below)
{
    unsigned l, r;
    size_t expected;

    if (!t)
        return true;
    if (t->start >= t->end || t->start < above || t->end > below)
        return false;
    if (!check(t->left, above, t->start) || !check(t->right, t->end, below))
        return false;
    l = height(t->left);
    r = height(t->right);
    expected = t->end - t->start;
    if (longest(t->left) > expected)
        expected = longest(t->left);
    if (longest(t->right) > expected)
        expected = longest(t->right);
    return (l > r ? l - r : r - l) <= 1 && t->height == (l > r ? l : r) + 1 &&
           t->longest == expected;
}

bool area_tree_check(const struct area_tree *tree)
{
    return check(tree->root, 0, UINTPTR_MAX);
}
