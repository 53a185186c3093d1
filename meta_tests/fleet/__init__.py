"""The Ansible playbook, tried on machines made of namespaces and userlands: `tox -e ansible`."""
