// new and delete in all their forms, for the recording tests. Sizes are odd above 100,000.
#include <new>
#include <thread>
#include <vector>

struct alignas(64) Wide {
    char bytes[100032];
};

static void *volatile keep;

int main()
{
    keep = new char[100001];
    delete[] static_cast<char *>(keep);
    keep = ::operator new(100003);
    ::operator delete(keep, std::size_t{100003});
    Wide *wide = new Wide;
    keep = wide;
    delete wide;
    keep = new (std::nothrow) char[100005];
    delete[] static_cast<char *>(keep);
    std::vector<char> grows;
    std::thread other([&] { grows.resize(100007); });
    other.join();
    return 0;
}
