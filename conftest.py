# In a bare checkout nothing is installed: load the plugin by the name its entry point bears.
pytest_plugins = ["qemunet_tests.plugin"]
