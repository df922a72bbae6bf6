"""What has to be known of rows before they are inserted."""
