/* Memory that the threads of a block share. A block finds it full of NaN. shared<T> is a pointer
 * into it, an element of it a reference that says what it does. */
#ifndef TESTS_SUPPORT_CUDA_SHARED_H
#define TESTS_SUPPORT_CUDA_SHARED_H

#include "thread.h"
#include <string.h>
#include <type_traits>

/* They check that all of it is the block's, aligned to its size, and that no other thread used it
 * unordered. */
void gpu_shared_note_load(const void *at, size_t size_bytes);
void gpu_shared_note_store(const void *at, size_t size_bytes);
void gpu_shared_note_atomic(const void *at, size_t size_bytes);
/* The memory of the declaration that `site` stands for: all threads of the block get the same. */
void *gpu_shared_static(const void *site, size_t size_bytes);
void *gpu_shared_dynamic(void);

template <typename V> static inline __attribute__((always_inline)) V gpu_shared_load(const void *at)
{
    V value;
    gpu_shared_note_load(at, sizeof value);
    memcpy(&value, at, sizeof value);
    return value;
}

template <typename V>
static inline __attribute__((always_inline)) void gpu_shared_store(void *at, V value)
{
    gpu_shared_note_store(at, sizeof value);
    memcpy(at, &value, sizeof value);
}

template <typename T> struct shared;

template <typename T> struct shared_element {
    typedef typename std::remove_const<T>::type plain;
    T *at;

    operator plain() const
    {
        return gpu_shared_load<plain>(at);
    }
    shared<T> operator&() const;
    const shared_element &operator=(plain value) const
    {
        gpu_shared_store(at, value);
        return *this;
    }
    const shared_element &operator=(const shared_element &other) const
    {
        return *this = (plain)other;
    }
    const shared_element &operator+=(plain by) const
    {
        return *this = (plain)(*this + by);
    }
    const shared_element &operator-=(plain by) const
    {
        return *this = (plain)(*this - by);
    }
    const shared_element &operator*=(plain by) const
    {
        return *this = (plain)(*this * by);
    }
    const shared_element &operator|=(plain by) const
    {
        return *this = (plain)(*this | by);
    }
};

template <typename T> struct shared {
    T *at;

    shared() = default;
    explicit shared(T *element) : at(element)
    {
    }
    template <typename F, typename = typename std::enable_if<std::is_same<const F, T>::value>::type>
    shared(shared<F> other) : at(other.at)
    {
    }
    shared_element<T> operator[](ptrdiff_t index) const
    {
        return shared_element<T>{at + index};
    }
    shared_element<T> operator*() const
    {
        return shared_element<T>{at};
    }
    shared &operator+=(ptrdiff_t by)
    {
        at += by;
        return *this;
    }
    shared &operator-=(ptrdiff_t by)
    {
        at -= by;
        return *this;
    }
};

template <typename T> inline shared<T> shared_element<T>::operator&() const
{
    return shared<T>(at);
}

/* Any integer type, so that an unsigned or 64-bit index needs no cast. */
template <typename T, typename I> static inline shared<T> operator+(shared<T> from, I by)
{
    return shared<T>(from.at + by);
}

template <typename T, typename I,
          typename = typename std::enable_if<std::is_integral<I>::value>::type>
static inline shared<T> operator-(shared<T> from, I by)
{
    return shared<T>(from.at - by);
}

template <typename T> static inline ptrdiff_t operator-(shared<T> to, shared<T> from)
{
    return to.at - from.at;
}

#define GPU_SHARED(T, name, count)                                                                 \
    static char name##_site;                                                                       \
    shared<T> name(static_cast<T *>(gpu_shared_static(&name##_site, sizeof(T) * (count))))
#define GPU_SHARED_DYNAMIC(name)                                                                   \
    shared<unsigned char> name(static_cast<unsigned char *>(gpu_shared_dynamic()))

template <typename T, typename F> static inline shared<T> shared_cast(shared<F> from)
{
    return shared<T>(reinterpret_cast<T *>(from.at));
}

template <typename V, typename T> static inline V shared_load(shared<T> from)
{
    return gpu_shared_load<V>(from.at);
}

template <typename V, typename T> static inline void shared_store(shared<T> to, V value)
{
    gpu_shared_store(to.at, value);
}

static inline unsigned atomicAdd(shared<unsigned> at, unsigned value)
{
    gpu_shared_note_atomic(at.at, sizeof value);
    unsigned before = *at.at;
    *at.at = before + value;
    return before;
}

#endif
