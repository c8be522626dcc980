// Capabilities and parameters: what is accepted, what is refused, and that a refusal changes
// nothing.
#include "daemon/capabilities.hpp"
#include "daemon/parameters.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <vector>

using mfd::Capabilities;
using mfd::Capability;
using mfd::Parameters;
using nlohmann::json;

TEST_CASE("a refused combination of capabilities changes nothing", "[capabilities]") {
    struct Case {
        std::vector<Capabilities::Change> changes;
        const char* text;
    };
    using enum Capability;
    const auto c = GENERATE(
        Case{{{MappedRam, true}, {Xbzrle, true}},
             "Mapped-ram migration is incompatible with xbzrle"},
        Case{{{MappedRam, true}, {PostcopyRam, true}},
             "Mapped-ram migration is incompatible with postcopy"},
        Case{{{Multifd, true}, {Xbzrle, true}}, "Multifd is not compatible with xbzrle"},
        Case{{{PostcopyRam, true}, {Multifd, true}}, "Postcopy is not yet compatible with multifd"},
        Case{{{BackgroundSnapshot, true}, {Multifd, true}},
             "Background-snapshot is not compatible with multifd"},
        Case{{{SwitchoverAck, true}},
             "Capability 'switchover-ack' requires capability 'return-path'"});
    Capabilities capabilities;
    const auto applied = capabilities.apply(c.changes, false, false);
    REQUIRE_FALSE(applied.has_value());
    CHECK(applied.error().what == c.text);
    for (const auto& [capability, on] : c.changes)
        CHECK_FALSE(capabilities.has(capability));
}

TEST_CASE("of two changes to one capability the later one counts", "[capabilities]") {
    Capabilities capabilities;
    const std::vector<Capabilities::Change> changes = {{Capability::Multifd, true},
                                                       {Capability::Multifd, false}};
    REQUIRE(capabilities.apply(changes, false, false).has_value());
    CHECK_FALSE(capabilities.has(Capability::Multifd));
}

TEST_CASE("what multifdd cannot act on is named before a save", "[capabilities]") {
    Capabilities capabilities;
    CHECK(capabilities.check_supported().error().what ==
          "multifdd saves and loads only with the capability 'mapped-ram' on; it is off");
    const std::vector<Capabilities::Change> changes = {{Capability::MappedRam, true},
                                                       {Capability::ReturnPath, true}};
    REQUIRE(capabilities.apply(changes, false, false).has_value());
    CHECK(capabilities.check_supported().error().what ==
          "Capability 'return-path' is not supported by multifdd: a file does not answer");
}

TEST_CASE("the parameters that every client compares have QEMU's defaults", "[parameters]") {
    const Parameters parameters;
    CHECK(parameters.number("max-bandwidth") == 134217728);
    CHECK(parameters.number("multifd-channels") == 2);
    CHECK(parameters.number("downtime-limit") == 300);
    CHECK(parameters.text("zero-page-detection") == "multifd");
    CHECK_FALSE(parameters.flag("direct-io"));
    CHECK_FALSE(parameters.values().contains("x-sync"));
    CHECK_FALSE(parameters.values().contains("block-bitmap-mapping"));
}

TEST_CASE("a value out of range is refused with QEMU's text and nothing is set", "[parameters]") {
    struct Case {
        json changes;
        const char* text;
    };
    const auto c = GENERATE(
        Case{{{"multifd-channels", 0}, {"direct-io", true}},
             "Parameter 'multifd_channels' expects a value between 1 and 255"},
        Case{{{"downtime-limit", 2000001}},
             "Parameter 'downtime_limit' expects an integer in the range of 0 to (2000 * 1000) ms"},
        Case{{{"xbzrle-cache-size", 4097}},
             "Parameter 'xbzrle_cache_size' expects a power of two no less than the target page "
             "size"},
        Case{{{"max-cpu-throttle", 29}, {"cpu-throttle-initial", 30}},
             "Parameter 'max_cpu_throttle' expects an integer in the range of "
             "cpu_throttle_initial to 99"},
        Case{{{"vcpu-dirty-limit", 0}}, "Parameter 'vcpu_dirty_limit' must be greater than 1 MB/s"},
        Case{{{"x-vcpu-dirty-limit-period", 0}},
             "Parameter 'x-vcpu-dirty-limit-period' expects a value between 1 and 1000"},
        Case{{{"x-io-engine", "sync"}},
             "Parameter 'x-io-engine' expects auto, io_uring or pwritev, not 'sync'"},
        Case{{{"x-verify", "yes"}},
             "Parameter 'x-verify' expects auto, require or off, not 'yes'"});
    Parameters parameters;
    const json before = parameters.values();
    const auto applied = parameters.apply(c.changes, false, false);
    REQUIRE_FALSE(applied.has_value());
    CHECK(applied.error().what == c.text);
    CHECK(parameters.values() == before);
}

TEST_CASE("with two faults the one that QEMU checks first is named", "[parameters]") {
    Parameters parameters;
    const auto applied =
        parameters.apply({{"multifd-channels", 0}, {"downtime-limit", 2000001}}, false, false);
    CHECK(applied.error().what ==
          "Parameter 'downtime_limit' expects an integer in the range of 0 to (2000 * 1000) ms");
}

TEST_CASE("compression with mapped-ram can be turned off again", "[parameters]") {
    Parameters parameters;
    REQUIRE(parameters.apply({{"multifd-compression", "zlib"}}, true, false).has_value());
    CHECK(parameters.compressed());
    CHECK_FALSE(parameters.apply({{"direct-io", true}}, true, false).has_value());
    REQUIRE(parameters.apply({{"multifd-compression", "none"}}, true, false).has_value());
    CHECK_FALSE(parameters.compressed());
}

TEST_CASE("null makes a TLS text empty", "[parameters]") {
    Parameters parameters;
    REQUIRE(parameters.apply({{"tls-creds", "c0"}}, false, false).has_value());
    CHECK(parameters.tls());
    REQUIRE(parameters.apply({{"tls-creds", nullptr}}, false, false).has_value());
    CHECK_FALSE(parameters.tls());
    CHECK(parameters.text("tls-creds").empty());
}
