"""report.html: one file for people, made from results.json alone.

`html_page` renders it, `page_view` says what is on it, `network_drawing` draws the network under test. The templates
escape everything that they are given; nothing in the page is loaded from anywhere.
"""
