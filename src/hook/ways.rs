//! Every way by which content or a name can enter a folder or leave for the cloud, and how each passes the gate.
