SELECT used_blocks * block_size AS bytes FROM pragma_database_size();
