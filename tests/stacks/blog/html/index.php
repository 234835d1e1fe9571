<?php
$db = new mysqli(getenv('DB_HOST'), 'blog', getenv('DB_PASSWORD'), 'blog');
$db->query('CREATE TABLE IF NOT EXISTS posts (id INT AUTO_INCREMENT PRIMARY KEY, text TEXT)');
if (isset($_GET['text'])) {
    $insert = $db->prepare('INSERT INTO posts (text) VALUES (?)');
    $insert->execute([$_GET['text']]);
    file_put_contents('/var/www/uploads/last', $_GET['text']);
}
foreach ($db->query('SELECT text FROM posts ORDER BY id') as $post) {
    echo $post['text'], "\n";
}
echo 'memory ', ini_get('memory_limit'), "\n";
