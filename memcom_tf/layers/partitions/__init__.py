"""Methods of complementary partitions: ids share parts, and no two ids all of them."""
